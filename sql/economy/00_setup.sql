-- Opens the script of the second extension: its schema, and what its parts share about messages.
\echo Use "CREATE EXTENSION sealcast_economy" to load this file. \quit

create schema sealcast_economy;
comment on schema sealcast_economy is
  'Effects of Sealcast''s messages: experience points, a double-entry ledger for gifts, and aggregates';

-- The system's own messages are nobody's: they earn nothing and are not counted.
create function sealcast_economy.is_users(sender_id uuid) returns boolean
  language sql immutable parallel safe
  return sender_id <> '00000000-0000-0000-0000-000000000000';

-- Moments of a message, whose ts is in Unix milliseconds: the handlers and the audit agree on them by these.
create function sealcast_economy.day_of(ts bigint) returns date
  language sql immutable parallel safe
  return (to_timestamp(ts / 1000) at time zone 'UTC')::date;
create function sealcast_economy.minute_of(ts bigint) returns timestamptz
  language sql immutable parallel safe
  return to_timestamp(ts / 60000 * 60);
