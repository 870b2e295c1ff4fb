// A small Geo-IP database, made for a test.
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const writer = fileURLToPath(new URL('../make_mmdb.pl', import.meta.url));

// `lines`: "NETWORK COUNTRY", or "NETWORK COUNTRY LATITUDE LONGITUDE". A file that is there is replaced.
export function makeDatabase(file, lines) {
  execFileSync('perl', [writer, file], { input: lines.join('\n'), stdio: ['pipe', 'inherit', 'inherit'] });
  chmodSync(file, 0o644); // sealcastd may be another user
  return file;
}
