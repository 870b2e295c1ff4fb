-- The pinned message of a stream. The system message `pinned` tells the readers, and is retained, so that a late joiner
-- knows it. Invariant: a pinned message has its content; a redaction unpins it in the same transaction.

create table sealcast.pins (
  stream_id uuid primary key,
  "offset" bigint not null,
  sender_id uuid not null,
  txn_id uuid not null,
  pinned_by uuid,
  note text constraint note_of_500_characters check (length(note) <= 500)
);
comment on table sealcast.pins is 'The pinned message of each stream that has one';
comment on column sealcast.pins.pinned_by is 'The user who pinned the message; null: the operator';
comment on column sealcast.pins.note is 'For all readers';

-- Sends the message `pinned`. Without a pin, its offset is null: no message is pinned.
create function sealcast_internal.announce_pin(stream_id uuid, pin sealcast.pins) returns json
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  sealed sealcast.verdict;
begin
  select * into sealed from sealcast.admit(
    array[stream_id], array['pinned'], array[system_sender], array[gen_random_uuid()],
    array[json_build_object('offset', pin."offset", 'txn_id', pin.txn_id, 'sender_id', pin.sender_id,
                            'by', sealcast.caller_id(), 'note', pin.note)::text]);
  perform sealcast_internal.require_sealed(sealed);
  return sealed.envelope::json;
end $$;

create function sealcast_internal.pin_as_json(pin sealcast.pins) returns jsonb
  language sql immutable parallel safe
  return case when (pin)."offset" is not null then jsonb_build_object('offset', (pin)."offset", 'txn_id', (pin).txn_id, 'note', (pin).note) end;

create function sealcast.pin_message(stream_id uuid, "offset" bigint, note text default null) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
declare
  place record;
  message sealcast.messages;
  before sealcast.pins;
  pin sealcast.pins;
begin
  if stream_id is null or "offset" is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the message is not named', null, 'Pass stream_id and offset.');
  end if;
  perform sealcast_internal.require_short('note', note);
  perform sealcast_internal.authorise_and_lock('pin', stream_id);
  place := sealcast_internal.place_of(stream_id, "offset");
  select m.* into message from sealcast.messages m where m.ts = place.ts and m.message_id = place.message_id;
  if message.d is null then
    perform sealcast_internal.refuse(404, 'message_not_found', 'the stream has no such message', null,
                                     'Check offset. Retention may have dropped the message, or it is redacted.');
  end if;
  select p.* into before from sealcast.pins p where p.stream_id = pin_message.stream_id;
  pin := (stream_id, "offset", message.sender_id, message.txn_id, sealcast.caller_id(), note);
  if sealcast_internal.pin_as_json(pin) is not distinct from sealcast_internal.pin_as_json(before) then
    return null;
  end if;
  insert into sealcast.pins select pin.*
  on conflict on constraint pins_pkey do update
  set "offset" = excluded."offset", sender_id = excluded.sender_id, txn_id = excluded.txn_id, pinned_by = excluded.pinned_by,
      note = excluded.note;
  perform sealcast_internal.log_act('pin_message', stream_id, message.sender_id, note, sealcast_internal.pin_as_json(before),
                                    sealcast_internal.pin_as_json(pin));
  return sealcast_internal.announce_pin(stream_id, pin);
end $$;
comment on function sealcast.pin_message(uuid, bigint, text) is
  'Pins the message with the offset, in the place of the pinned one, and returns the envelope of the message pinned, which is retained; null when it is pinned already. note: for all readers, at most 500 characters. For owners and moderators';

create function sealcast.unpin_message(stream_id uuid) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  before sealcast.pins;
begin
  if stream_id is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'stream_id is null', null, 'Pass the stream whose message is unpinned.');
  end if;
  perform sealcast_internal.authorise_and_lock('pin', stream_id);
  delete from sealcast.pins p where p.stream_id = unpin_message.stream_id returning p.* into before;
  if before.stream_id is null then
    return null;
  end if;
  perform sealcast_internal.log_act('unpin_message', stream_id, before.sender_id, null, sealcast_internal.pin_as_json(before), null);
  return sealcast_internal.announce_pin(stream_id, null);
end $$;
comment on function sealcast.unpin_message(uuid) is
  'Unpins the pinned message, and returns the envelope of the message pinned, whose offset is null; null when no message is pinned. For owners and moderators';

-- Unpins the pinned message if it has lost its content. A redaction calls it under the lock of the stream, and is itself
-- an entry of the moderation log.
create function sealcast_internal.unpin_redacted(stream_id uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
declare
  place record;
  pin sealcast.pins;
begin
  select p.* into pin from sealcast.pins p where p.stream_id = unpin_redacted.stream_id;
  if not found then
    return;
  end if;
  place := sealcast_internal.place_of(stream_id, pin."offset");
  if exists (select from sealcast.messages m where m.ts = place.ts and m.message_id = place.message_id and m.d is not null) then
    return;
  end if;
  delete from sealcast.pins p where p.stream_id = unpin_redacted.stream_id;
  perform sealcast_internal.announce_pin(stream_id, null);
end $$;
