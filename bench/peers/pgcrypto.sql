-- A simple alternative in SQL: canonical JSON in plpgsql, pgcrypto, and one INSERT with pg_notify per message.
\set ON_ERROR_STOP on
set client_min_messages = warning;
create extension if not exists pgcrypto;
drop schema if exists peer cascade;
create schema peer;

-- Sorts keys at every depth. It costs less than RFC 8785 and differs from it: numbers stay as jsonb writes them, and
-- keys beyond U+FFFF sort by code point. Only nested values need another call.
create function peer.canonicalize(v jsonb) returns text
  language plpgsql immutable strict parallel safe as $$
begin
  case jsonb_typeof(v)
    when 'object' then
      return '{' || coalesce((
        select string_agg(to_json(key)::text || ':'
          || case when jsonb_typeof(value) in ('object', 'array') then peer.canonicalize(value) else value::text end,
          ',' order by key collate "C") from jsonb_each(v)), '') || '}';
    when 'array' then
      return '[' || coalesce((
        select string_agg(
          case when jsonb_typeof(value) in ('object', 'array') then peer.canonicalize(value) else value::text end,
          ',' order by position) from jsonb_array_elements(v) with ordinality e (value, position)), '') || ']';
    else
      return v::text;
  end case;
end $$;

create table peer.messages (
  id bigint generated always as identity primary key,
  sender_id uuid not null,
  txn_id uuid not null,
  stream_id uuid not null,
  t text not null,
  ts bigint not null,
  d text not null,
  sig text not null,
  unique (sender_id, txn_id)
);

-- The minimum that signs, stores once and notifies: no roles, bans, size limits or outbox.
create function peer.send_message(stream_id uuid, t text, d jsonb, txn_id uuid) returns text
  language plpgsql as $$
declare
  sender constant uuid := current_setting('request.jwt.claims')::jsonb ->> 'sub';
  ts constant bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  canonical constant text := peer.canonicalize(d);
  sig constant text := encode(hmac(
    format('v=1|t=%s|stream_id=%s|sender_id=%s|txn_id=%s|ts=%s|payload_hash=%s', t, stream_id, sender, txn_id, ts,
           encode(digest(canonical, 'sha256'), 'hex')),
    'a secret of at least 32 bytes, as ours', 'sha256'), 'hex');
  inserted bigint;
begin
  insert into peer.messages as m (sender_id, txn_id, stream_id, t, ts, d, sig)
    values (sender, txn_id, stream_id, t, ts, canonical, sig)
    on conflict do nothing returning m.id into inserted;
  if inserted is null then
    raise 'txn_id was used before';
  end if;
  perform pg_notify('peer_messages', inserted::text);
  return format('{"v":1,"kid":"k1","t":"%s","stream_id":"%s","s":"%s","ts":%s,"txn_id":"%s","d":%s,"sig":"%s"}',
                t, stream_id, sender, ts, txn_id, canonical, sig);
end $$;
