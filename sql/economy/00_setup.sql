-- Opens the script of the second extension: creates its schema, and the functions that its parts share.
\echo Use "CREATE EXTENSION sealcast_economy" to load this file. \quit

create schema sealcast_economy;
comment on schema sealcast_economy is
  'Effects of Sealcast messages: experience points, a double-entry ledger for gifts, and aggregates';

-- The messages of the system belong to no user: they earn nothing and are not counted.
create function sealcast_economy.is_users(sender_id uuid) returns boolean
  language sql immutable parallel safe
  return sender_id <> '00000000-0000-0000-0000-000000000000';

-- The day and minute of a message, from its ts in Unix milliseconds. The handlers and the audit both use these
-- functions, so that their results agree.
create function sealcast_economy.day_of(ts bigint) returns date
  language sql immutable parallel safe
  return (to_timestamp(ts / 1000) at time zone 'UTC')::date;
create function sealcast_economy.minute_of(ts bigint) returns timestamptz
  language sql immutable parallel safe
  return to_timestamp(ts / 60000 * 60);
