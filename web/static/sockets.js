// The platform's sockets in a page: what happens to documents, rooms, jobs and batches, while it happens.
//
//   import { Socket } from "/static/sockets.js";
//   const socket = new Socket();
//   await socket.subscribe({ model: "task", filter: { status: "open" } }, (event) => console.log(event));
//
// A connection that is lost is replaced, and what was missed meanwhile comes first; nothing comes twice. The protocol
// is told in docs/sockets.md.

export { applyOperations } from "./patch.js";

const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 30_000;
const RESTART = 1012;
const BAD_TOKEN = 4401;
// Whoever connects again after these is closed again.
const FINAL = new Set([1002, 1003, 1007, 1009, 4403, 4413]);
// After so long a silence the server is asked; after twice as long the connection is given up.
const QUIET_MS = 30_000;
// A function may be waited for by the server for 30 s.
const ANSWER_MS = 40_000;
// How much of a token's life is used, and the least there is between two.
const USED = 0.8;
const LEAST_MS = 5_000;

/**
 * Something that was asked in vain. `code` is the server's (`bad_filter`, `call_failed`, …), or `lost` or `timeout`:
 * whether it was carried out is not known; or `closed`. `jobId`: of a call, the job that goes on or failed.
 */
export class SocketError extends Error {
  constructor(code, message, jobId) {
    super(message);
    Object.assign(this, { name: "SocketError", code, jobId });
  }
}

/**
 * @typedef {{epoch: string, offset: number}} Position
 * @typedef {{event: string, channel: string, offset?: number, data: any, id?: string, version?: number}} DataFrame
 * @typedef {{channel: string, position: Position, unsubscribe: () => void}} Subscription
 */

/**
 * One connection after the other. Its events, each with its facts in `detail`:
 * `connected`, the server's frame; `lost` {code, reason, pauseMs}: another attempt follows;
 * `closed` {code, reason}: none does; `gap` {channel}: some of what happened there is gone, read again;
 * `ended` {channel, code, message}: it cannot be followed any longer;
 * `event`, a data frame that was sent to this device unasked.
 */
export class Socket extends EventTarget {
  #url;
  #token;
  #socket = null;
  #isOpen = false;
  #isClosed = false;
  #lastRef = 0;
  #followed = new Map(); // by ref
  #channels = new Map(); // the same, by channel
  #asked = new Map(); // by ref
  #resumeRef = 0;
  #failures = 0;
  #refusedTokens = 0;
  #heardAt = 0;
  #timers = {};

  /**
   * @param {{url?: string | URL, token?: () => Promise<string> | string}} options `token` is asked for a fresh token
   * before each connection; without it the page's session cookie signs in. `url`: not the origin of this script.
   */
  constructor({ url = new URL("../ws", import.meta.url), token } = {}) {
    super();
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#token = token;
    this.#timers.watch = setInterval(() => this.#watch(), QUIET_MS / 2);
    this.#connect();
  }

  get isConnected() {
    return this.#isOpen && !this.#resumeRef;
  }

  /**
   * Follow documents; resolves once nothing that happens from now on is missed. `since`: go on after a Position, or 0
   * for everything that is kept. Following the same again takes the place of the first time. Rejects with SocketError.
   * @param {{model: string, id?: string, userId?: string, filter?: object, since?: Position | 0}} wanted
   * @param {(event: DataFrame) => void} handler
   * @returns {Promise<Subscription>}
   */
  subscribe({ model, id, userId, filter, since }, handler) {
    return this.#follow({ channel: { model, id, userId }, filter }, since, handler);
  }

  /**
   * `since`, as of `subscribe`, or "last": the last message alone comes first, after each interruption too.
   * @returns {Promise<Subscription>}
   */
  room(name, handler, since) {
    return this.#follow({ room: name }, since, handler);
  }

  /** A job's record as it is, and each newer one. @returns {Promise<Subscription>} */
  job(id, handler, since) {
    return this.#follow({ job: id }, since, handler);
  }

  /** @returns {Promise<Subscription>} */
  batch(id, handler, since) {
    return this.#follow({ batch: id }, since, handler);
  }

  /** Say something in a room. @returns {Promise<Position>} */
  async publish(room, data) {
    const { epoch, offset } = await this.#ask({ type: "publish", room, data });
    return { epoch, offset };
  }

  /** Call a registered function. @returns {Promise<any>} its result */
  async call(module, name, args = {}) {
    return (await this.#ask({ type: "call", module, function: name, args })).result;
  }

  close() {
    this.#finish({ code: 1000, reason: "" });
  }

  // -- connections

  async #connect() {
    let token;
    try {
      token = await this.#token?.();
      if (this.#token && !token) throw new TypeError("the function returned no token");
    } catch (error) {
      if (!this.#isClosed) this.#retry({ code: 0, reason: String(error) });
      return;
    }
    if (this.#isClosed) return;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#heardAt = Date.now();
    socket.onopen = () => token && this.#send({ type: "auth", token });
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(JSON.parse(data));
    socket.onclose = (gone) => socket === this.#socket && this.#lose(gone);
  }

  #lose({ code, reason }) {
    this.#leave();
    const message = "the connection was lost before the answer; whether it was carried out is not known";
    for (const [ref, question] of this.#asked) {
      if (question.isSent) this.#answer(ref, new SocketError("lost", message));
    }
    const isRefused = code === BAD_TOKEN && !(this.#token && this.#refusedTokens++ === 0);
    if (FINAL.has(code) || isRefused) this.#finish({ code, reason });
    else this.#retry({ code, reason });
  }

  #retry({ code, reason }) {
    // Full jitter, so that those whom a restart cut off together do not come back together.
    const backoff = Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures++, 16)) * Math.random();
    const pauseMs = (code === RESTART ? askedPause(reason) : null) ?? backoff;
    this.#timers.retry = setTimeout(() => this.#connect(), pauseMs);
    this.#tell("lost", { code, reason, pauseMs });
  }

  #finish({ code, reason }) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const socket = this.#socket;
    this.#leave();
    socket?.close();
    clearInterval(this.#timers.watch);
    clearTimeout(this.#timers.retry);
    for (const ref of this.#asked.keys()) this.#answer(ref, closedError());
    for (const following of this.#followed.values()) following.reject(closedError());
    this.#followed.clear();
    this.#tell("closed", { code, reason });
  }

  /** The connection is of no concern any more; what comes of it is not heard. */
  #leave() {
    this.#socket = null;
    this.#isOpen = false;
    this.#resumeRef = 0;
    clearTimeout(this.#timers.refresh);
  }

  /** This side gives up the connection. */
  #hangUp(reason) {
    const socket = this.#socket;
    this.#lose({ code: 1006, reason });
    socket.close();
  }

  #watch() {
    const quietMs = Date.now() - this.#heardAt;
    if (!this.#socket || quietMs < QUIET_MS) return;
    if (quietMs > 2 * QUIET_MS) this.#hangUp("the server said nothing");
    else if (this.#isOpen) this.#send({ type: "ping" });
  }

  async #refresh() {
    try {
      this.#send({ type: "refresh", token: await this.#token() });
    } catch {
      this.#expect(0); // trouble is no matter yet: in the end the server closes the connection, and there is another
    }
  }

  #expect(leftMs) {
    clearTimeout(this.#timers.refresh);
    this.#timers.refresh = setTimeout(() => this.#refresh(), Math.max(LEAST_MS, USED * leftMs));
  }

  // -- frames

  #receive(frame) {
    this.#heardAt = Date.now();
    if ("event" in frame) return this.#happened(frame);
    if (frame.type === "connected") return this.#welcome(frame);
    if (frame.type === "subscribed") return this.#subscribed(frame);
    if (frame.type === "resumed") return this.#settle();
    if (frame.type === "refreshed") return this.#renew(frame.expires_at);
    if (frame.type === "error") return this.#refused(frame);
    this.#answer(frame.ref, frame);
  }

  #welcome(frame) {
    this.#isOpen = true;
    this.#renew(frame.session?.expires_at);
    if (this.#followed.size) {
      this.#resumeRef = ++this.#lastRef;
      const subscriptions = [...this.#followed.values()].map(askedFor);
      this.#send({ type: "resume", ref: this.#resumeRef, subscriptions });
    } else this.#settle();
    for (const question of this.#asked.values()) this.#put(question);
    this.#tell("connected", frame);
  }

  #settle() {
    this.#resumeRef = this.#failures = this.#refusedTokens = 0;
  }

  #renew(expiresAt) {
    if (expiresAt && this.#token) this.#expect(Date.parse(expiresAt) - Date.now());
  }

  #subscribed({ ref, channel, epoch, offset, recovered }) {
    const following = this.#followed.get(ref);
    if (!following) return; // it was unsubscribed meanwhile
    const other = this.#channels.get(channel);
    if (other && other !== following) this.#followed.delete(other.ref); // the latest wins
    this.#channels.set(channel, following);
    const [isSame, seen] = [following.position?.epoch === epoch, following.position?.offset];
    // The last value, which has come before: its being forgotten is no loss.
    const hasSeen = following.since === "last" && isSame && seen >= offset;
    const isFurther = isSame && seen > offset;
    if (!isFurther) following.position = { epoch, offset };
    following.channel = channel;
    if (recovered === false && !hasSeen) this.#tell("gap", { channel });
    following.resolve(this.#handle(following));
  }

  #happened(frame) {
    const following = this.#channels.get(frame.channel);
    if (!following) {
      if (frame.offset === undefined) this.#tell("event", frame);
      return;
    }
    if (frame.offset !== undefined) {
      if (frame.offset <= following.position.offset) return;
      following.position = { epoch: following.position.epoch, offset: frame.offset };
    }
    try {
      following.handler(frame);
    } catch (error) {
      reportError(error); // the handler's trouble, and not the socket's
    }
  }

  #refused({ ref, code, message, job_id: jobId }) {
    const following = this.#followed.get(ref);
    const isUnfit = ref !== undefined && ref === this.#resumeRef;
    if (isUnfit || (following?.channel && code === "unavailable")) this.#hangUp(message);
    else if (following) {
      this.#drop(following);
      following.reject(new SocketError(code, message));
      if (following.channel) this.#tell("ended", { channel: following.channel, code, message });
    } else this.#answer(ref, new SocketError(code, message, jobId));
  }

  // -- what is asked

  #follow(members, since, handler) {
    if (this.#isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const following = { ref: ++this.#lastRef, members, position: null, since, handler, resolve, reject };
      this.#followed.set(following.ref, following);
      if (this.#isOpen) this.#send({ type: "subscribe", ...askedFor(following) });
    });
  }

  #handle(following) {
    return {
      channel: following.channel,
      get position() {
        return following.position;
      },
      unsubscribe: () => {
        if (this.#drop(following) && this.#isOpen) this.#send({ type: "unsubscribe", ref: following.ref });
      },
    };
  }

  #drop(following) {
    if (this.#channels.get(following.channel) === following) this.#channels.delete(following.channel);
    return this.#followed.delete(following.ref);
  }

  #ask(members) {
    if (this.#isClosed) return Promise.reject(closedError());
    const ref = ++this.#lastRef;
    return new Promise((resolve, reject) => {
      const late = () => this.#answer(ref, new SocketError("timeout", "the server did not answer in time"));
      const timer = setTimeout(late, ANSWER_MS);
      const question = { frame: { ...members, ref }, isSent: false, timer, resolve, reject };
      this.#asked.set(ref, question);
      if (this.#isOpen) this.#put(question);
    });
  }

  #put(question) {
    question.isSent = true;
    this.#send(question.frame);
  }

  #answer(ref, answer) {
    const question = this.#asked.get(ref);
    if (!question) return;
    this.#asked.delete(ref);
    clearTimeout(question.timer);
    answer instanceof Error ? question.reject(answer) : question.resolve(answer);
  }

  #send(frame) {
    this.#socket?.send(JSON.stringify(frame));
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function askedFor({ ref, members, position, since }) {
  return { ref, ...members, since: since === "last" ? since : (position ?? since) };
}

function closedError() {
  return new SocketError("closed", "the socket is closed");
}

function askedPause(reason) {
  try {
    const ms = JSON.parse(reason).retry_after_ms;
    return Number.isFinite(ms) ? Math.max(0, ms) : null;
  } catch {
    return null;
  }
}
