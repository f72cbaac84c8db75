// Comforts for the page at /docs, which works without them: a filter, copy buttons, and the list following along.

const list = document.querySelector(".side");
const entries = [...list.querySelectorAll("li")].map((item) => ({
  item,
  words: (item.dataset.words ?? "").toLowerCase(),
}));

function filter(typed) {
  const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { item, words } of entries) {
    item.hidden = !wanted.every((word) => words.includes(word));
  }
  let isAnyShown = false;
  for (const group of list.querySelectorAll("[data-group]")) {
    group.hidden = !group.querySelector("li:not([hidden])");
    isAnyShown ||= !group.hidden;
  }
  list.querySelector(".nothing").hidden = isAnyShown;
}

function addFilter() {
  const field = document.createElement("input");
  Object.assign(field, { type: "search", className: "filter", placeholder: "Filter  ( / )", autocomplete: "off" });
  field.setAttribute("aria-label", "Filter the operations");
  field.addEventListener("input", () => filter(field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("li:not([hidden]) a")?.click();
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, [contenteditable]");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
  });
  document.getElementById("filter-place").append(field);
}

function addCopyButton(figure) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "copy", textContent: "Copy" });
  button.setAttribute("aria-label", `Copy the ${figure.querySelector("figcaption").textContent}`);
  button.addEventListener("click", async () => {
    button.textContent = (await copied(figure.querySelector("code"))) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  figure.append(button);
}

// Over plain HTTP from another machine there is no clipboard; then the text is selected for the reader to copy.
async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}

function followAlong() {
  const links = new Map([...list.querySelectorAll("li a")].map((link) => [link.hash.slice(1), link]));
  const visible = new Set();
  const observer = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) visible[isIntersecting ? "add" : "delete"](target.id);
    const here = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) link.classList.toggle("here", id === here);
    const link = links.get(here);
    if (link && !link.matches(":hover") && innerWidth > 832) link.scrollIntoView({ block: "nearest" });
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const id of links.keys()) observer.observe(document.getElementById(id));
}

// On a phone the list covers the page: going somewhere closes it.
list.addEventListener("click", (event) => {
  if (event.target.closest("a")) document.getElementById("menu").checked = false;
});

addFilter();
document.querySelectorAll("[data-copy]").forEach(addCopyButton);
followAlong();
