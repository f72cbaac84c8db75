// JSON Patch (RFC 6902) as the platform's frames carry it, with lists: {op: "replace", path: ["a", "b"], value: [1]}.

/**
 * The document after the operations of a `model_updated`, whose paths and values are lists; it does not change itself.
 * Throws RangeError if they do not fit it: read it again.
 * @template T @param {T} document @param {Array<object>} operations @returns {T}
 */
export function applyOperations(document, operations) {
  const holder = { document: structuredClone(document) }; // so that the whole document has a place to be replaced at
  for (const { op, path, from, value } of operations) {
    const to = ["document", ...path];
    if (op === "add") put(holder, to, structuredClone(value[0]));
    else if (op === "remove") take(holder, to);
    else if (op === "replace") swap(holder, to, structuredClone(value[0]));
    else if (op === "move") put(holder, to, take(holder, ["document", ...from]));
    else if (op === "copy") put(holder, to, structuredClone(look(holder, ["document", ...from])));
    else if (op !== "test" || !isSame(look(holder, to), value[0])) throw new RangeError(`${op} at ${path} fails`);
  }
  return holder.document;
}

// Own members only: a document may have a field that is called __proto__.
function look(holder, path) {
  return path.reduce((found, part) => {
    if (found === null || typeof found !== "object" || !Object.hasOwn(found, part)) {
      throw new RangeError(`there is nothing at ${path.slice(1)}`);
    }
    return found[part];
  }, holder);
}

function put(holder, path, value) {
  const parent = look(holder, path.slice(0, -1));
  const part = path.at(-1);
  if (Array.isArray(parent)) {
    const index = part === "-" ? parent.length : Number(part);
    if (!(index <= parent.length)) throw new RangeError(`there is no place at ${path.slice(1)}`);
    parent.splice(index, 0, value);
  } else if (parent === null || typeof parent !== "object") {
    throw new RangeError(`there is no place at ${path.slice(1)}`);
  } else Object.defineProperty(parent, part, { value, writable: true, enumerable: true, configurable: true });
}

function take(holder, path) {
  const found = look(holder, path);
  const parent = look(holder, path.slice(0, -1));
  Array.isArray(parent) ? parent.splice(Number(path.at(-1)), 1) : delete parent[path.at(-1)];
  return found;
}

function swap(holder, path, value) {
  take(holder, path);
  put(holder, path, value);
}

function isSame(a, b) {
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  const keys = Object.keys(a);
  return Array.isArray(a) === Array.isArray(b) && keys.length === Object.keys(b).length
    && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
}
