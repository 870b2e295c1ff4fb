// Reads the standard error of one sidecar from a pipe. While the fault lasts, the reader is stopped, and warnings fill
// the pipe and the sidecar's buffer.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { request } from '../../integration/http.mjs';

const run = promisify(execFile);
const WARNINGS = 60;
const WARNING_BYTES = 60_000; // all together: more than the pipe, a batch that is being written, and the buffer of 1 MiB
const TIMEOUT_MS = 2000;

export class LogCollector {
  lines = [];
  sent = 0; // warnings since the last fault began

  // A message of the type `loud` is refused, and Postgres sends a warning, which the sidecar logs.
  static async prepare(stack) {
    await stack.query(`create function public.warn(uuid, uuid, text, uuid, d json) returns sealcast.refusal language plpgsql as $$ begin
        raise warning 'loud % %', d ->> 'content', repeat('x', ${WARNING_BYTES});
        return row(403, 'too_loud', 'this message is loud', null)::sealcast.refusal;
      end $$`);
    await stack.query("insert into sealcast.message_types (t, admit_hook) values ('loud', 'public.warn(uuid,uuid,text,uuid,json)')");
  }

  // `url` is the sidecar's.
  static async start(stack, name, room, url) {
    const collector = Object.assign(new LogCollector(), { stack, room, url });
    collector.pipe = join(stack.directory, `log-${name}`);
    await run('mkfifo', ['--mode', '666', collector.pipe]);
    // Also open for writing: so the pipe does not end with a killed sidecar.
    collector.process = stack.spawn(['sh', '-c', 'exec cat <> "$0"', collector.pipe], { stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface(collector.process.stdout).on('line', (line) => collector.lines.push(line));
    return collector;
  }

  // The prefix of the sidecar's command.
  get under() {
    return ['sh', '-c', `exec "$0" "$@" 2> ${this.pipe}`];
  }

  tail() {
    return this.lines.slice(-40).join('\n');
  }

  async inject() {
    this.process.kill('SIGSTOP');
    this.sent = 0;
    await Promise.all(Array.from({ length: WARNINGS }, (_, i) => this.#warn(i)));
    return () => this.process.kill('SIGCONT');
  }

  // Another fault may prevent it.
  async #warn(i) {
    const { headers } = this.stack.user();
    const body = { stream_id: this.room, t: 'loud', d: { content: `${i}` }, txn_id: randomUUID() };
    const answer = await request(`${this.url}/rpc/send_message`, { method: 'POST', headers, body, timeout: TIMEOUT_MS }).catch(() => ({}));
    if (answer.status === 403) this.sent++;
  }
}
