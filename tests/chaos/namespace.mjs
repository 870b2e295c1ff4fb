// For a test file: runs the file again within namespace.sh, when this process may make namespaces.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('namespace.sh', import.meta.url));
const ENTERED = 'SEALCAST_CHAOS_ENTERED'; // a script that makes no namespace must not run for ever

// Does not return when it has run the file again.
export function enterNamespace(file) {
  if (process.env[ENTERED]) return;
  const command = [process.execPath, ...process.execArgv, fileURLToPath(file)];
  const { status } = spawnSync(script, command, { stdio: 'inherit', env: { ...process.env, [ENTERED]: '1' } });
  process.exit(status ?? 1);
}
