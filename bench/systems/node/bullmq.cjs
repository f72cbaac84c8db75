// BullMQ: `node bullmq.cjs worker PROCESSES` runs jobs, `node bullmq.cjs driver` submits what standard input asks for, as
// bench.systems.driver does. A job is bench.systems.work: one INCR, and word from whoever reaches the goal.
"use strict";

const { fork } = require("node:child_process");
const readline = require("node:readline");
const { Queue, Worker } = require("bullmq");
const Redis = require("ioredis");

const [COUNTER, WORD] = ["bench:done", "bench:word"];
const PATIENCE_S = 110;
const connect = () => new Redis(process.env.BENCH_VALKEY_URL, { maxRetriesPerRequest: null });

function startWorkers(processes) {
  const children = [];
  for (let n = 0; n < processes; n++) children.push(fork(__filename, ["run"]));
  process.on("SIGTERM", () => {
    for (const child of children) child.kill();
    process.exit(0);
  });
}

function run() {
  const valkey = connect();
  const work = async ({ data }) => {
    const done = await valkey.incr(COUNTER);
    if (done >= data.goal) await valkey.rpush(WORD, done);
  };
  new Worker("bench", work, { connection: connect() });
}

async function drive() {
  const queue = new Queue("bench", { connection: connect() });
  const valkey = connect();
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  say({ node: process.versions.node, bullmq: require("bullmq/package.json").version });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { jobs } = JSON.parse(line); // there is nothing else to do than a batch
    await valkey.del(COUNTER, WORD);
    const began = performance.now();
    await queue.addBulk(Array.from({ length: jobs }, () => ({ name: "work", data: { goal: jobs } })));
    const accepted = (performance.now() - began) / 1000;
    const word = await valkey.blpop(WORD, PATIENCE_S);
    if (word === null) throw new Error(`no word of the jobs within ${PATIENCE_S} s`);
    say({ accepted, done: (performance.now() - began) / 1000 });
  }
  process.exit(0);
}

const [, , role, processes] = process.argv;
if (role === "worker") startWorkers(Number(processes));
else if (role === "run") run();
else drive();
