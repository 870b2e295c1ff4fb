-- Privileges: PUBLIC has none, reads go through row-level security, and writes go through the functions.

revoke all on all functions in schema sealcast from public;
revoke all on all tables in schema sealcast from public;
grant usage on schema sealcast to sealcast_admin, sealcast_service, sealcast_user;

grant execute on function
  sealcast.canonicalize(json), sealcast.canonicalize(jsonb), sealcast.payload_hash(json), sealcast.payload_hash(jsonb),
  sealcast.signing_string(text, text, text, text, bigint, text),
  sealcast.verify(json, interval), sealcast.verify(jsonb, interval),
  sealcast.verify_detail(json, interval), sealcast.verify_detail(jsonb, interval), sealcast.public_keys(),
  -- A reader of a message may see its envelope.
  sealcast.envelope(sealcast.messages), sealcast.envelope_text(text, text, uuid, uuid, bigint, uuid, text, bytea),
  sealcast.idempotent_insert(),
  sealcast.sampled(uuid, uuid, integer), sealcast.tier(text, uuid, jsonb),
  -- stream_log is a view with the rights of its reader, so the reader needs this function.
  sealcast.public_prev(bigint, bigint, bytea, bigint),
  sealcast.rendezvous(uuid, text[]), sealcast.cell_of(uuid)
  to sealcast_admin, sealcast_service, sealcast_user;

grant execute on function
  sealcast.send_message(uuid, text, json, uuid),
  sealcast.mute(uuid, uuid, timestamptz, text), sealcast.ban(uuid, uuid, timestamptz, text),
  sealcast.unmute(uuid, uuid), sealcast.unban(uuid, uuid), sealcast.set_role(uuid, uuid, text),
  sealcast.migrate_transport(uuid, text, integer), sealcast.set_sampling(uuid, integer),
  sealcast.set_delivery_mode(uuid, text),
  sealcast.restrict_user(text, uuid, uuid, timestamptz, text), sealcast.lift_restriction(text, uuid, uuid)
  to sealcast_admin, sealcast_user;
-- The policies below call these functions with the rights of the reader.
grant execute on function
  sealcast.caller_id(), sealcast.claims(), sealcast.caller_can_read(uuid), sealcast.caller_moderates(uuid)
  to sealcast_admin, sealcast_user;

grant execute on function
  -- A role that may attach seal_row() to its own table can sign anything.
  sealcast.sign(text, text), sealcast.seal(text, text, text, text, bigint, json), sealcast.seal_row(), sealcast.keys(),
  sealcast.interface_version(),
  sealcast.admit(uuid[], text[], uuid[], uuid[], text[]), sealcast.call_as(uuid, text, json),
  sealcast.cell_map(), sealcast.gate_limits(), sealcast.roles_of(uuid[], uuid[]), sealcast.stream_access(uuid, uuid),
  sealcast.history(uuid, bigint, bigint, integer, boolean),
  sealcast.claim_shards(text, integer), sealcast.release_shards(text),
  sealcast.drain(text, integer[], bigint[], integer), sealcast.tail(integer[], bigint[], integer),
  sealcast.begin_delivery(text, integer[], bigint[], bigint[]), sealcast.settle(text, integer[], bigint[], bigint[]),
  sealcast.delivery_modes(), sealcast.lagging_streams(text, integer[]), sealcast.set_lag(text, integer[], bigint[], uuid[], bigint[], text[]),
  sealcast.bury(text, integer[], bigint[], uuid, bigint, text, integer),
  sealcast.dead_letters_to_replay(text, integer[], integer), sealcast.revive(text, uuid, bigint),
  sealcast.publish_viewer_counts(integer[], bigint[], uuid[], integer[], integer[], boolean, integer, integer),
  sealcast.sample_streams(integer[], bigint[], uuid[], integer[], integer), sealcast.sampled_streams(integer[]),
  sealcast.due_switches(integer[], bigint[], text, integer, integer, integer, integer, integer, integer, boolean),
  sealcast.switch_stream(integer[], bigint[], uuid, text, uuid, text),
  sealcast.handlers_of(text), sealcast.event_groups(),
  sealcast.claim_partitions(text, text, integer, integer), sealcast.release_partitions(text, text),
  sealcast.events_carried_to(), sealcast.finish_partitions(text, integer[], bigint[], bigint[], bigint),
  sealcast.apply_events(text, text, integer, bigint, text[], bigint[], text[]),
  sealcast.fail_event(text, text, integer, bigint, text, bigint, text),
  sealcast.event_dead_letters_to_replay(text, integer), sealcast.replay_plan(timestamptz, uuid),
  sealcast.event_partitions_state(), sealcast.note_event_partitions(bigint, integer[], bigint[], bigint[]),
  sealcast.rewind_events(bigint),
  sealcast.maintain()
  to sealcast_service;
grant execute on function
  sealcast.keys(), sealcast.maintain(),
  sealcast.replay_dead_letters(text, uuid, bigint), sealcast.drop_dead_letters(text, uuid, bigint),
  sealcast.forget_transport(text),
  sealcast.register_handler(text, text, regprocedure, integer, integer, interval, text),
  sealcast.unregister_handler(text, boolean), sealcast.check_effects(text, timestamptz, timestamptz, integer),
  sealcast.replay_event_dead_letters(text, uuid, uuid), sealcast.drop_event_dead_letters(text, uuid, uuid, boolean),
  -- delivery_status is a view with the rights of its reader, so the reader needs this function.
  sealcast.last_offset(uuid)
  to sealcast_admin;

-- Tables: sealcast_admin maintains streams, roles, restrictions, cells and types; sealcast_user reads the rows that
-- row-level security shows.
grant select, insert, update, delete on sealcast.streams, sealcast.stream_roles, sealcast.restrictions,
  sealcast.cells, sealcast.cell_pins to sealcast_admin;
-- Without admit_hook, because it names code that runs as the extension's owner.
grant select, delete, insert (t, max_bytes, rate, role_rates, required_roles, system_only, server_fields, tier, tier0_amount),
  update (t, max_bytes, rate, role_rates, required_roles, system_only, server_fields, tier, tier0_amount)
  on sealcast.message_types to sealcast_admin;
grant select on sealcast.messages, sealcast.stream_log, sealcast.stream_runs, sealcast.deliveries,
  sealcast.delivery_lags, sealcast.dead_letters, sealcast.delivery_status, sealcast.relay_leases, sealcast.relay_log,
  sealcast.relay_members, sealcast.viewer_counts, sealcast.sampling, sealcast.switching, sealcast.delivery_changes,
  sealcast.event_handlers, sealcast.event_effects, sealcast.event_attempts, sealcast.event_dead_letters,
  sealcast.event_leases, sealcast.event_workers, sealcast.event_partitions, sealcast.event_losses to sealcast_admin;
grant select on sealcast.streams, sealcast.stream_roles, sealcast.restrictions, sealcast.message_types,
  sealcast.messages, sealcast.stream_log, sealcast.stream_runs to sealcast_user;

alter table sealcast.streams enable row level security;
alter table sealcast.stream_roles enable row level security;
alter table sealcast.restrictions enable row level security;
alter table sealcast.message_types enable row level security;
alter table sealcast.cells enable row level security;
alter table sealcast.cell_pins enable row level security;
alter table sealcast.messages enable row level security;
alter table sealcast.stream_runs enable row level security;
alter table sealcast.txn_keys enable row level security;
alter table sealcast.outbox enable row level security;
alter table sealcast.outbox_0 enable row level security;
alter table sealcast.outbox_1 enable row level security;
alter table sealcast.outbox_2 enable row level security;
alter table sealcast.relay_leases enable row level security;
alter table sealcast.relay_members enable row level security;
alter table sealcast.relay_log enable row level security;
alter table sealcast.deliveries enable row level security;
alter table sealcast.delivery_lags enable row level security;
alter table sealcast.dead_letters enable row level security;
alter table sealcast.viewer_counts enable row level security;
alter table sealcast.sampling enable row level security;
alter table sealcast.switching enable row level security;
alter table sealcast.delivery_changes enable row level security;
alter table sealcast.event_handlers enable row level security;
alter table sealcast.event_effects enable row level security;
alter table sealcast.event_attempts enable row level security;
alter table sealcast.event_dead_letters enable row level security;
alter table sealcast.event_leases enable row level security;
alter table sealcast.event_workers enable row level security;
alter table sealcast.event_partitions enable row level security;
alter table sealcast.event_losses enable row level security;
alter table sealcast.maintenance enable row level security;
alter table sealcast.retention enable row level security;
alter table sealcast.row_keys enable row level security;

create policy admin_all on sealcast.streams to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.stream_roles to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.restrictions to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.message_types to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.cells to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.cell_pins to sealcast_admin using (true) with check (true);
create policy admin_read on sealcast.messages for select to sealcast_admin using (true);
create policy admin_read on sealcast.stream_runs for select to sealcast_admin using (true);
create policy admin_read on sealcast.deliveries for select to sealcast_admin using (true);
create policy admin_read on sealcast.delivery_lags for select to sealcast_admin using (true);
create policy admin_read on sealcast.dead_letters for select to sealcast_admin using (true);
create policy admin_read on sealcast.relay_leases for select to sealcast_admin using (true);
create policy admin_read on sealcast.relay_log for select to sealcast_admin using (true);
create policy admin_read on sealcast.relay_members for select to sealcast_admin using (true);
create policy admin_read on sealcast.viewer_counts for select to sealcast_admin using (true);
create policy admin_read on sealcast.sampling for select to sealcast_admin using (true);
create policy admin_read on sealcast.switching for select to sealcast_admin using (true);
create policy admin_read on sealcast.delivery_changes for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_handlers for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_effects for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_attempts for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_dead_letters for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_leases for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_workers for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_partitions for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_losses for select to sealcast_admin using (true);

create policy readable on sealcast.streams for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.messages for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.stream_runs for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.message_types for select to sealcast_user using (true);
create policy own_or_moderated on sealcast.stream_roles for select to sealcast_user
  using (user_id = (select sealcast.caller_id()) or sealcast.caller_moderates(stream_id));
create policy own_or_moderated on sealcast.restrictions for select to sealcast_user
  using (user_id = (select sealcast.caller_id()) or sealcast.caller_moderates(stream_id));
