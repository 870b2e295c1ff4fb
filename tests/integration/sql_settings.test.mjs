// Whatever settings a database carries, when the extensions are created and afterwards, the product works and answers the same.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { Database, Holder, admit, makeStreams } from './sql_database.mjs';
import { installBoth, round } from './sql_round.mjs';

const run = promisify(execFile);

// Each value is tried alone on an existing database. The first values of a group are tried together at creation.
const groups = {
  'text and parsing': {
    standard_conforming_strings: ['off'], backslash_quote: ['off', 'on'], escape_string_warning: ['off'], quote_all_identifiers: ['on'],
    transform_null_equals: ['on'], array_nulls: ['off'], check_function_bodies: ['off'], 'plpgsql.variable_conflict': ['use_column', 'use_variable'],
    'plpgsql.extra_warnings': ["'all'"], 'plpgsql.extra_errors': ["'all'"], 'plpgsql.check_asserts': ['off'], 'plpgsql.print_strict_params': ['on'],
    search_path: ['hostile, pg_catalog, public', "''", 'pg_temp'],
  },
  'formats and encodings': {
    DateStyle: ["'SQL, DMY'", "'German, YMD'", "'Postgres, MDY'"], IntervalStyle: ['sql_standard', 'postgres_verbose', 'iso_8601'],
    TimeZone: ["'Pacific/Kiritimati'", "'America/St_Johns'", "'Etc/GMT+12'"], timezone_abbreviations: ["'India'"],
    bytea_output: ['escape'], extra_float_digits: ['-15', '3'], xmlbinary: ['hex'], xmloption: ['document'],
    lc_monetary: ["'POSIX'"], lc_numeric: ["'POSIX'"], lc_time: ["'POSIX'"], lc_messages: ["'POSIX'"],
    client_encoding: ['SQL_ASCII'], client_min_messages: ['debug1', 'error'],
  },
  plans: {
    plan_cache_mode: ['force_generic_plan', 'force_custom_plan'], jit: ['on'], jit_above_cost: ['0'],
    enable_seqscan: ['off'], enable_indexscan: ['off'], enable_indexonlyscan: ['off'], enable_bitmapscan: ['off'], enable_hashjoin: ['off'],
    enable_mergejoin: ['off'], enable_nestloop: ['off'], enable_sort: ['off'], enable_hashagg: ['off'], enable_material: ['off'],
    enable_memoize: ['off'], enable_partition_pruning: ['off'], enable_partitionwise_join: ['on'], enable_partitionwise_aggregate: ['on'],
    constraint_exclusion: ['on', 'off'], geqo_threshold: ['2'], from_collapse_limit: ['1'], join_collapse_limit: ['1'],
    max_parallel_workers_per_gather: ['8'], min_parallel_table_scan_size: ['0'], parallel_setup_cost: ['0'],
    force_parallel_mode: ['on'], debug_parallel_query: ['on'], work_mem: ["'64kB'"], temp_buffers: ["'800kB'"], temp_file_limit: ['-1', '0'],
    default_statistics_target: ['1'], cursor_tuple_fraction: ['0.0001'], recursive_worktable_factor: ['0.001'], gin_fuzzy_search_limit: ['1'],
  },
  'transactions and storage': {
    default_transaction_isolation: ["'repeatable read'", "'serializable'"], default_transaction_deferrable: ['on'],
    statement_timeout: ['60000'], lock_timeout: ['60000', '10'], idle_in_transaction_session_timeout: ['60000'], idle_session_timeout: ['60000'],
    transaction_timeout: ['60000'], row_security: ['off'], default_table_access_method: ['other_heap'],
    default_tablespace: ['other_space'], default_toast_compression: ['lz4'], synchronous_commit: ['off'], commit_delay: ['1'],
    wal_compression: ['on'], allow_system_table_mods: ['on'], vacuum_freeze_min_age: ['0'], gin_pending_list_limit: ['64'],
    session_replication_role: ['local'], event_triggers: ['off'], lo_compat_privileges: ['on'], password_encryption: ['md5'],
    log_statement: ["'all'"], log_min_messages: ["'debug1'"], debug_print_plan: ['on'], track_functions: ["'all'"],
    stats_fetch_consistency: ['snapshot', 'none'], backend_flush_after: ['1'],
  },
};

let database;
let baseline;
let known;
const databases = [];

// A schema whose functions, operators and types shadow those of pg_catalog.
const hostile = `
  create schema hostile;
  grant usage on schema hostile to public;
  create function hostile.now() returns timestamptz language sql as 'select null::timestamptz';
  create function hostile.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz';
  create function hostile.no(bigint, bigint) returns boolean language sql as 'select null::boolean';
  create function hostile.no(integer, integer) returns boolean language sql as 'select null::boolean';
  create operator hostile.= (leftarg = bigint, rightarg = bigint, function = hostile.no);
  create operator hostile.= (leftarg = integer, rightarg = integer, function = hostile.no);
  create table hostile.streams (x int);
  create table hostile.pg_class (x int);
  create type hostile.uuid as (x int);
  create domain hostile.text as int;
  create domain hostile.regclass as pg_catalog.text;
  create access method other_heap type table handler heap_tableam_handler;`;

async function create() {
  const made = await Database.create({ extension: false });
  databases.push(made);
  const client = await made.connect();
  await client.query(hostile);
  await client.end();
  return made;
}

const isKnown = (name) => known.has(name.toLowerCase()) || name.startsWith('plpgsql.');

// Sets the settings of the database, runs `work` with a new connection, and resets the settings.
async function withSettings(target, settings, work) {
  const admin = await target.connect();
  const kept = settings.filter(([name]) => isKnown(name));
  for (const [name, value] of kept) await admin.query(`alter database ${target.name} set ${name} = ${value}`);
  const client = await target.connect();
  try {
    // The driver sets client_encoding itself.
    for (const [name, value] of kept) if (name === 'client_encoding') await client.query(`set ${name} = ${value}`);
    return await work(client);
  } finally {
    await client.end();
    await admin.query(`alter database ${target.name} reset all`);
    await admin.end();
  }
}

async function onServer(...statements) {
  const client = new pg.Client();
  await client.connect();
  try {
    for (const sql of statements) await client.query(sql);
  } finally {
    await client.end();
  }
}

before(async () => {
  await onServer('set allow_in_place_tablespaces = on', "create tablespace other_space location ''");
  database = await create();
  const client = await database.connect();
  known = new Set((await client.query('select name from pg_settings')).rows.map((row) => row.name.toLowerCase()));
  await installBoth(client);
  baseline = await round(client);
  assert.deepEqual(baseline.audit, []);
  assert.equal(baseline.outbox, '0');
});
after(async () => {
  await Promise.all(databases.map((each) => each.drop()));
  await onServer('drop tablespace other_space');
});

for (const [group, settings] of Object.entries(groups)) {
  for (const [name, values] of Object.entries(settings)) {
    for (const value of values) {
      test(`${name} = ${value}`, async (t) => {
        if (!isKnown(name)) return t.skip(`this server has no ${name}`);
        assert.deepEqual(await withSettings(database, [[name, value]], round), baseline);
      });
    }
  }
  test(`extensions created with other settings: ${group}`, async () => {
    const made = await create();
    await withSettings(made, Object.entries(settings).map(([name, [value]]) => [name, value]), installBoth);
    assert.deepEqual(await round(await made.connect()), baseline);
  });
}

test('a default of read-only transactions refuses to write', async () => {
  await withSettings(database, [['default_transaction_read_only', 'on']], async (client) => {
    for (const sql of ['select sealcast.maintain()', "select * from sealcast_internal.claim_shards('r', 1000)",
      "select * from sealcast_internal.drain('r', '{0}', '{1}', 1)", "select * from sealcast.admit('{}', '{}', '{}', '{}', '{}')"]) {
      await assert.rejects(client.query(sql), { code: '25006' }, sql);
    }
  });
});

test('at any isolation level, the outbox is truncated only when every committed message is relayed', async () => {
  const [client, other] = [await database.connect(), await database.connect()];
  const [stream] = await makeStreams(other, 1);
  const relay = new Holder(other, 'relay');
  await relay.claim(60_000);
  const drain = async () => {
    for (let rows = await relay.drain(1000); rows !== null;) rows = await relay.drain(1000);
  };
  const count = async () => (await other.query('select count(*)::int as n from sealcast_internal.outbox')).rows[0].n;
  for (const level of ['repeatable read', 'serializable']) {
    await drain();
    await client.query(`begin isolation level ${level}`);
    await client.query('select count(*) from sealcast.streams'); // takes the snapshot of the transaction
    await admit(other, [{ stream, sender: stream }]);
    await other.query("select setval('sealcast_internal.outbox_segment', (last_value + 1) % 3) from sealcast_internal.outbox_segment");
    await client.query('select sealcast_internal.rotate_outbox(); commit');
    assert(await count() > 0, 'a message that the snapshot does not show is kept');
    await client.query(`begin isolation level ${level}`);
    await client.query('select count(*) from sealcast.streams');
    await drain();
    await client.query('select sealcast_internal.rotate_outbox(); commit');
    assert.equal(await count(), 0, 'a drain that the snapshot does not show counts');
  }
});

test('default privileges give no role a right on our objects', async () => {
  const made = await create();
  const client = await made.connect();
  await client.query(`
    alter default privileges grant all on tables to sealcast_user, public;
    alter default privileges grant all on sequences to sealcast_user, public;
    alter default privileges grant all on functions to sealcast_user, sealcast_service;
    alter default privileges grant all on schemas to public`);
  await installBoth(client);
  await client.query('grant execute on function public.count_applied(sealcast.event) to sealcast_service');
  assert.deepEqual(await round(client), baseline);
  const rights = `
    select object, grantee::regrole::text, privilege_type, is_grantable from (
      select c.oid::regclass::text as object, c.relacl as acl from pg_class c where c.relnamespace = any ('{sealcast,sealcast_internal,sealcast_economy}'::regnamespace[])
      union all select p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)) from pg_proc p
        where p.pronamespace = any ('{sealcast,sealcast_internal,sealcast_economy}'::regnamespace[])
      union all select n.nspname, n.nspacl from pg_namespace n where n.nspname like 'sealcast%') o, aclexplode(o.acl) a
    where a.grantee::regrole::text <> current_user order by 1, 2, 3`;
  assert.deepEqual((await client.query(rights)).rows, (await (await database.connect()).query(rights)).rows);
});

test('a log of DDL by event triggers works, and the error of an event trigger names it', async () => {
  const made = await create();
  const client = await made.connect();
  await client.query(`
    create table public.ddl_log (entry text);
    create function public.log_ddl() returns event_trigger language plpgsql as
      $$ begin insert into public.ddl_log select command_tag from pg_event_trigger_ddl_commands(); end $$;
    create function public.log_drop() returns event_trigger language plpgsql as
      $$ begin insert into public.ddl_log select object_identity from pg_event_trigger_dropped_objects(); end $$;
    create event trigger log_ddl on ddl_command_end execute function public.log_ddl();
    create event trigger log_drop on sql_drop execute function public.log_drop()`);
  await installBoth(client);
  assert.deepEqual(await round(client), baseline);
  await client.query(`
    create function public.broken() returns event_trigger language plpgsql as $$ begin insert into ddl_log values ('x'); end $$;
    create event trigger broken on ddl_command_end execute function public.broken();
    update sealcast.retention set days_ahead = 5`);
  await assert.rejects(client.query('select sealcast.maintain()'), (error) => error.code === '42P01' && error.where.includes('broken()'));
});

test('another superuser creates the extensions in a database that a role without rights owns', async () => {
  const made = await create();
  const client = await made.connect();
  const role = made.name;
  await client.query(`create role ${role}; create role ${role}_boss superuser; alter database ${role} owner to ${role}; revoke all on schema public from public`);
  try {
    await client.query(`set role ${role}`);
    await assert.rejects(client.query('create extension sealcast'), { code: '42501' });
    await client.query(`set session authorization ${role}_boss`);
    await installBoth(client);
    assert.deepEqual(await round(client), baseline);
  } finally {
    await made.drop();
    await onServer(`drop role ${role}, ${role}_boss`);
  }
});

test('a database of another encoding is refused', async () => {
  const made = new Database(`${database.name}_latin1`);
  databases.push(made);
  await onServer(`create database ${made.name} encoding 'LATIN1' locale 'C' template template0`);
  await assert.rejects((await made.connect()).query('create extension sealcast'),
    { code: '0A000', message: 'sealcast needs a database with encoding UTF8, not LATIN1' });
});

test('a dump of a database with other settings is restored into one with other settings', async () => {
  const settings = ['text and parsing', 'formats and encodings'].flatMap((name) =>
    Object.entries(groups[name]).map(([setting, [value]]) => [setting, value]));
  const content = 'select m.t, m.d, sealcast.envelope(m) from sealcast.messages m order by m.message_id';
  const directory = mkdtempSync(join(tmpdir(), 'sealcast-dump-'));
  const source = await Database.create();
  const copy = await Database.create({ extension: false });
  databases.push(source, copy);
  try {
    const client = await source.connect();
    const [stream] = await makeStreams(client, 1);
    await admit(client, [{ stream, sender: stream, d: { content: 'Grüße \\ \'' } }, { stream, sender: stream }]);
    await client.query("insert into sealcast.cells values ('a', 'http://[::1]:80'); select sealcast.mute(null, gen_random_uuid(), now() + interval '1 day', 'a \\ b')");
    const file = join(directory, 'dump');
    await client.query('create schema hostile');
    await withSettings(source, settings, () => run('pg_dump', ['--format=custom', `--file=${file}`, source.name]));
    await withSettings(copy, settings, () => run('pg_restore', ['--exit-on-error', `--dbname=${copy.name}`, file]));
    const restored = await copy.connect();
    for (const sql of [content, 'select * from sealcast.restrictions', 'select * from sealcast.cells']) {
      const { rows } = await client.query(sql);
      assert(rows.length > 0, sql);
      assert.deepEqual((await restored.query(sql)).rows, rows, sql);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
