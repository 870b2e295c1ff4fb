// Installs sealcast_economy in a test's database, and applies its handlers to messages as workers do.
import { randomUUID } from 'node:crypto';

export async function installEconomy(client) {
  await client.query('create extension sealcast_economy');
  await client.query('select sealcast_economy.register()');
}

export const deposit = (client, user, amount) =>
  client.query("select sealcast_economy.deposit($1, $2, 'USD', $3)", [user, amount, randomUUID()]);

// Applies a handler to committed messages in the given order.
export const apply = (client, handler, txnIds) =>
  client.query(
    `select sealcast_economy.${handler}(${handler.endsWith('_events') ? 'array_agg(event order by n)' : 'event'})
     from (select n, (m.t, m.stream_id, m.sender_id, m.txn_id, m.ts, 1, m.d, sealcast.envelope(m))::sealcast.event as event
           from unnest($1::uuid[]) with ordinality asked (txn_id, n) join sealcast.messages m using (txn_id) order by n) e`,
    [txnIds],
  );

// The balances of all accounts that are not 0, as { 'wallet user': balance }.
export async function balances(client) {
  const { rows } = await client.query('select kind, owner_id, balance from sealcast_economy.accounts where balance <> 0');
  return Object.fromEntries(rows.map((row) => [`${row.kind} ${row.owner_id}`, Number(row.balance)]));
}

export const audit = async (client) => (await client.query('select * from sealcast_economy.audit() order by what, subject')).rows;
