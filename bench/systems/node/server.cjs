// Node with ws, and a subscriber of the redis package: node server.cjs PORT
"use strict";

const { createClient } = require("redis");
const { WebSocketServer } = require("ws");

const rooms = new Map();

function join(room, socket) {
  if (!rooms.has(room)) rooms.set(room, new Set());
  rooms.get(room).add(socket);
  socket.on("close", () => rooms.get(room).delete(socket));
  socket.send('{"type":"subscribed"}');
}

function broadcast(text, channel) {
  const bytes = Buffer.from(text); // once, not for each socket
  for (const socket of rooms.get(channel.slice("room:".length)) ?? []) socket.send(bytes, { binary: false });
}

async function main() {
  const subscriber = createClient({ url: process.env.BENCH_VALKEY_URL });
  await subscriber.connect();
  await subscriber.pSubscribe("room:*", broadcast);
  const port = Number(process.argv[2]);
  const server = new WebSocketServer({ host: "127.0.0.1", port, backlog: 4096, perMessageDeflate: false });
  server.on("connection", (socket) => {
    socket.on("error", () => socket.terminate());
    socket.on("message", (message) => join(JSON.parse(message).room, socket));
  });
}

main();
