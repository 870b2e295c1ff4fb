-- Privileges: PUBLIC has none, reads go through row-level security, and writes go through the functions.

select sealcast_internal.revoke_all_grants(schema::regnamespace) from unnest('{sealcast,sealcast_internal}'::text[]) schema;
-- Views, policies and functions with the rights of their caller reach the internal schema: hence USAGE for all three.
grant usage on schema sealcast, sealcast_internal to sealcast_admin, sealcast_service, sealcast_user;

grant execute on function
  sealcast.canonicalize(json), sealcast.canonicalize(jsonb), sealcast.payload_hash(json), sealcast.payload_hash(jsonb),
  sealcast.signing_string(text, text, text, text, bigint, text),
  sealcast.verify(json, interval), sealcast.verify(jsonb, interval),
  sealcast.verify_detail(json, interval), sealcast.verify_detail(jsonb, interval), sealcast.public_keys(),
  -- A reader of a message may see its envelope.
  sealcast.envelope(sealcast.messages), sealcast.envelope_text(text, text, uuid, uuid, bigint, uuid, text, bytea),
  sealcast_internal.redacted_envelope(sealcast.messages),
  sealcast_internal.redacted_envelope_text(text, text, uuid, uuid, bigint, uuid, bytea, bytea),
  sealcast.idempotent_insert(),
  sealcast.sampled(uuid, uuid, integer), sealcast.tier(text, uuid, jsonb),
  -- stream_log is a view with the rights of its reader, so the reader needs this function.
  sealcast_internal.public_prev(bigint, bigint, bytea, bigint),
  sealcast.rendezvous(uuid, text[]), sealcast.cell_of(uuid), sealcast.log_epoch()
  to sealcast_admin, sealcast_service, sealcast_user;

grant execute on function
  sealcast.send_message(uuid, text, json, uuid), sealcast.history(uuid, bigint, bigint, integer, text),
  sealcast.mute(uuid, uuid, timestamptz, text, text, interval), sealcast.ban(uuid, uuid, timestamptz, text, text, interval),
  sealcast.redact_message(uuid, bigint, text), sealcast.redact_message(uuid, uuid, uuid, text),
  sealcast.redact_messages(uuid, uuid, timestamptz, text), sealcast_internal.redact(uuid, bigint, uuid, uuid, text),
  sealcast.unmute(uuid, uuid), sealcast.unban(uuid, uuid), sealcast.restrictions_of(uuid, uuid),
  sealcast.set_role(uuid, uuid, text), sealcast.set_payee(uuid, uuid),
  sealcast.report_message(uuid, bigint, text, text), sealcast.reported_messages(uuid, integer, bigint, boolean),
  sealcast.approve_message(uuid), sealcast.deny_message(uuid, text), sealcast.held_messages_of(uuid, integer, uuid),
  sealcast.resolve_report(uuid, bigint, text, text), sealcast.moderation_log_of(uuid, uuid, uuid, integer),
  sealcast.migrate_transport(uuid, text, integer, integer), sealcast.set_sampling(uuid, integer),
  sealcast.set_delivery_mode(uuid, text), sealcast.set_stream_rules(uuid, json), sealcast.stream_rules_of(uuid), sealcast.stream_state(uuid, text),
  sealcast.pin_message(uuid, bigint, text), sealcast.unpin_message(uuid),
  sealcast.add_blocked_term(uuid, text, text, boolean, text), sealcast.remove_blocked_term(uuid), sealcast.blocked_terms_of(uuid),
  sealcast.term_hits_of(uuid, timestamptz, integer, uuid),
  sealcast_internal.restrict_user(text, uuid, uuid, timestamptz, text, text, interval), sealcast_internal.lift_restriction(text, uuid, uuid)
  to sealcast_admin, sealcast_user;
-- The policies below call these functions with the rights of the reader.
grant execute on function
  sealcast.caller_id(), sealcast.claims(), sealcast.caller_can_read(uuid), sealcast.caller_moderates(uuid)
  to sealcast_admin, sealcast_user;
grant execute on function sealcast_internal.require_stream(uuid), sealcast_internal.require_cell(text),
  sealcast_internal.controls_hook(text) to sealcast_admin;

grant execute on function
  -- A role that may attach seal_row() to its own table can sign anything.
  sealcast.sign(text, text), sealcast.seal(text, text, text, text, bigint, json), sealcast.seal_row(), sealcast.keys(),
  sealcast.interface_version(),
  sealcast.admit(uuid[], text[], uuid[], uuid[], text[]), sealcast_internal.call_as(uuid, text, json),
  sealcast_internal.cell_map(), sealcast_internal.gate_limits(), sealcast_internal.gate_rules(), sealcast_internal.read_stream_rules(uuid), sealcast_internal.roles_of(uuid[], uuid[]), sealcast_internal.stream_access(uuid, uuid), sealcast_internal.redacted_offset(uuid),
  sealcast_internal.reader_access(uuid[], uuid[]),
  sealcast_internal.read_history(uuid, bigint, bigint, integer, boolean), sealcast_internal.read_state(uuid),
  sealcast_internal.check_log(text, integer[], bigint[], bigint[], bigint[]),
  sealcast_internal.claim_shards(text, integer, text[]), sealcast_internal.release_shards(text), sealcast_internal.uncarried(),
  sealcast_internal.drain(text, integer[], bigint[], integer), sealcast_internal.tail(integer[], bigint[], integer),
  sealcast_internal.begin_delivery(text, integer[], bigint[], bigint[]), sealcast_internal.settle(text, integer[], bigint[], bigint[]),
  sealcast_internal.delivery_modes(), sealcast_internal.lagging_streams(text, integer[]), sealcast_internal.set_lag(text, integer[], bigint[], uuid[], bigint[], text[]),
  sealcast_internal.bury(text, integer[], bigint[], uuid, bigint, text, integer),
  sealcast_internal.dead_letters_to_replay(text, integer[], integer), sealcast_internal.revive(text, uuid, bigint),
  sealcast_internal.due_revocations(integer[], integer), sealcast_internal.end_revocations(bigint[]),
  sealcast_internal.new_notices(pg_snapshot, pg_snapshot, xid8, bigint, integer), sealcast_internal.seal_notices(text[], uuid[], uuid[]),
  sealcast_internal.notices_of(uuid, uuid),
  sealcast_internal.subscribe_webhook(text[]), sealcast_internal.due_webhooks(integer[], uuid, integer, integer),
  sealcast_internal.end_webhooks(uuid[]), sealcast_internal.fail_webhooks(uuid[], text[], integer[], bigint[]),
  sealcast_internal.publish_viewer_counts(integer[], bigint[], uuid[], integer[], integer[], boolean, integer, uuid[]),
  sealcast_internal.sample_streams(integer[], bigint[], uuid[], integer[]), sealcast_internal.sampled_streams(integer[]),
  sealcast_internal.due_switches(integer[], bigint[], text, integer, integer, integer, integer, integer, boolean),
  sealcast_internal.switch_streams(integer[], bigint[], uuid[], text[], uuid[], text[]),
  sealcast_internal.handlers_of(text), sealcast_internal.event_groups(),
  sealcast_internal.event_partition_count(integer),
  sealcast_internal.claim_partitions(text, text, integer, integer), sealcast_internal.release_partitions(text, text),
  sealcast_internal.raise_partition_epochs(text, text, integer[], bigint[], bigint[]),
  sealcast_internal.events_carried_to(), sealcast_internal.finish_partitions(text, integer[], bigint[], bigint[], bigint),
  sealcast_internal.clean_session(),
  sealcast_internal.apply_events(text, text, integer, bigint, text[], bigint[], text[]),
  sealcast_internal.fail_event(text, text, integer, bigint, text, bigint, text),
  sealcast_internal.events_to_retry(text, integer), sealcast_internal.waiting_events(text),
  sealcast_internal.event_dead_letters_to_replay(text, integer), sealcast_internal.replay_plan(timestamptz, uuid),
  sealcast_internal.event_partitions_state(), sealcast_internal.note_event_partitions(bigint, integer[], bigint[], bigint[]),
  sealcast_internal.rewind_events(bigint),
  sealcast.maintain(), sealcast.repair_row_triggers(), sealcast_internal.readiness()
  to sealcast_service;
-- The view has the rights of its reader, so the reader needs this function. A monitor reads nothing else of ours.
grant usage on schema sealcast to pg_monitor;
grant execute on function sealcast_internal.health() to sealcast_admin, sealcast_service, pg_monitor;
grant select on sealcast.health to sealcast_admin, sealcast_service, pg_monitor;
grant execute on procedure sealcast.run_maintenance() to sealcast_admin, sealcast_service;
grant execute on procedure sealcast.erase_user(uuid) to sealcast_admin;
grant execute on function
  sealcast.keys(), sealcast.maintain(), sealcast.repair_row_triggers(), sealcast.begin_log_epoch(text),
  sealcast.replay_dead_letters(text, uuid, bigint), sealcast.drop_dead_letters(text, uuid, bigint),
  sealcast.forget_transport(text), sealcast.erase_user_step(uuid, integer),
  sealcast.replay_webhooks(uuid, uuid), sealcast.drop_webhooks(uuid, uuid), sealcast.forget_webhooks(),
  sealcast.register_handler(text, text, regprocedure, integer, integer, interval, text, interval),
  sealcast.unregister_handler(text, boolean), sealcast.set_event_partitions(integer),
  sealcast.check_effects(text, timestamptz, timestamptz, integer),
  sealcast.replay_event_dead_letters(text, uuid, uuid, boolean), sealcast.drop_event_dead_letters(text, uuid, uuid, boolean),
  -- delivery_status is a view with the rights of its reader, so the reader needs these functions.
  sealcast_internal.last_offset(uuid), sealcast_internal.uncarried()
  to sealcast_admin;

-- Tables: sealcast_admin maintains streams, roles, restrictions, cells and types; sealcast_user reads the rows that
-- row-level security shows.
grant select, insert, update, delete on sealcast.streams, sealcast.stream_roles, sealcast.restrictions,
  sealcast.cells, sealcast.cell_pins to sealcast_admin;
-- A trigger checks who may set admit_hook.
grant select, insert, update, delete on sealcast.message_types to sealcast_admin;
grant select on sealcast.moderation_log, sealcast.report_cases, sealcast.reports,
  sealcast.messages, sealcast.redactions, sealcast.stream_log, sealcast.stream_runs, sealcast.deliveries,
  sealcast.blocked_terms, sealcast.term_hits, sealcast.held_messages, sealcast.retained_messages,
  sealcast.delivery_lags, sealcast.dead_letters, sealcast.webhook_events, sealcast.delivery_status, sealcast_internal.relay_leases, sealcast_internal.relay_log,
  sealcast_internal.relay_members, sealcast.viewer_counts, sealcast.sampling, sealcast.switching, sealcast.delivery_changes, sealcast.stream_rules, sealcast.pins,
  sealcast.event_handlers, sealcast.event_effects, sealcast.event_attempts, sealcast.event_dead_letters,
  sealcast_internal.event_leases, sealcast_internal.event_workers, sealcast_internal.event_partitions, sealcast_internal.event_losses to sealcast_admin;
grant select on sealcast.streams, sealcast.stream_roles, sealcast.message_types, sealcast.messages, sealcast.redactions,
  sealcast.stream_log, sealcast.stream_runs, sealcast.stream_rules, sealcast.pins to sealcast_user;
-- Not who has restricted the user, and not the notes: restrictions_of() shows these to moderators.
grant select (restriction_id, user_id, stream_id, kind, until, reason, created_at, lifted_at)
  on sealcast.restrictions to sealcast_user;
-- Moderators do not learn who reported a message, nor the login roles of others.
grant select on sealcast.report_cases to sealcast_user;
grant select (entry_id, logged_at, act, stream_id, user_id, actor_id, actor_rank, reason, before, after)
  on sealcast.moderation_log to sealcast_user;

alter table sealcast.streams enable row level security;
alter table sealcast.stream_roles enable row level security;
alter table sealcast.restrictions enable row level security;
alter table sealcast.stream_rules enable row level security;
alter table sealcast.pins enable row level security;
alter table sealcast.moderation_log enable row level security;
alter table sealcast.report_cases enable row level security;
alter table sealcast.reports enable row level security;
alter table sealcast.blocked_terms enable row level security;
alter table sealcast.term_hits enable row level security;
alter table sealcast.held_messages enable row level security;
alter table sealcast.message_types enable row level security;
alter table sealcast.added_types enable row level security;
alter table sealcast.cells enable row level security;
alter table sealcast.cell_pins enable row level security;
alter table sealcast.messages enable row level security;
alter table sealcast.redactions enable row level security;
alter table sealcast.retained_messages enable row level security;
alter table sealcast.stream_runs enable row level security;
alter table sealcast.txn_keys enable row level security;
alter table sealcast_internal.outbox enable row level security;
alter table sealcast_internal.outbox_0 enable row level security;
alter table sealcast_internal.outbox_1 enable row level security;
alter table sealcast_internal.outbox_2 enable row level security;
alter table sealcast_internal.current_log enable row level security;
alter table sealcast_internal.relay_leases enable row level security;
alter table sealcast_internal.relay_members enable row level security;
alter table sealcast_internal.relay_log enable row level security;
alter table sealcast.deliveries enable row level security;
alter table sealcast.delivery_lags enable row level security;
alter table sealcast.dead_letters enable row level security;
alter table sealcast_internal.revocations enable row level security;
alter table sealcast_internal.user_notices enable row level security;
alter table sealcast.webhook_events enable row level security;
alter table sealcast_internal.webhook_subscription enable row level security;
alter table sealcast.viewer_counts enable row level security;
alter table sealcast.sampling enable row level security;
alter table sealcast.switching enable row level security;
alter table sealcast.delivery_changes enable row level security;
alter table sealcast.event_handlers enable row level security;
alter table sealcast.event_effects enable row level security;
alter table sealcast.event_attempts enable row level security;
alter table sealcast.event_dead_letters enable row level security;
alter table sealcast_internal.event_leases enable row level security;
alter table sealcast_internal.event_workers enable row level security;
alter table sealcast_internal.event_partitions enable row level security;
alter table sealcast_internal.event_losses enable row level security;
alter table sealcast_internal.maintenance enable row level security;
alter table sealcast_internal.trim_passes enable row level security;
alter table sealcast_internal.erasures enable row level security;
alter table sealcast_internal.erasure_messages enable row level security;
alter table sealcast.retention enable row level security;
alter table sealcast_internal.row_keys enable row level security;

create policy admin_all on sealcast.streams to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.stream_roles to sealcast_admin
  using (true) with check (sealcast_internal.require_stream(stream_id));
create policy admin_all on sealcast.restrictions to sealcast_admin
  using (true) with check (sealcast_internal.require_stream(stream_id));
create policy admin_all on sealcast.message_types to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.cells to sealcast_admin using (true) with check (true);
create policy admin_all on sealcast.cell_pins to sealcast_admin using (true) with check (sealcast_internal.require_cell(cell));
create policy admin_read on sealcast.stream_rules for select to sealcast_admin using (true);
create policy admin_read on sealcast.pins for select to sealcast_admin using (true);
create policy admin_read on sealcast.moderation_log for select to sealcast_admin using (true);
create policy admin_read on sealcast.report_cases for select to sealcast_admin using (true);
create policy admin_read on sealcast.reports for select to sealcast_admin using (true);
create policy admin_read on sealcast.blocked_terms for select to sealcast_admin using (true);
create policy admin_read on sealcast.term_hits for select to sealcast_admin using (true);
create policy admin_read on sealcast.held_messages for select to sealcast_admin using (true);
create policy admin_read on sealcast.messages for select to sealcast_admin using (true);
create policy admin_read on sealcast.redactions for select to sealcast_admin using (true);
create policy admin_read on sealcast.retained_messages for select to sealcast_admin using (true);
create policy admin_read on sealcast.stream_runs for select to sealcast_admin using (true);
create policy admin_read on sealcast.deliveries for select to sealcast_admin using (true);
create policy admin_read on sealcast.delivery_lags for select to sealcast_admin using (true);
create policy admin_read on sealcast.dead_letters for select to sealcast_admin using (true);
create policy admin_read on sealcast.webhook_events for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.relay_leases for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.relay_log for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.relay_members for select to sealcast_admin using (true);
create policy admin_read on sealcast.viewer_counts for select to sealcast_admin using (true);
create policy admin_read on sealcast.sampling for select to sealcast_admin using (true);
create policy admin_read on sealcast.switching for select to sealcast_admin using (true);
create policy admin_read on sealcast.delivery_changes for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_handlers for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_effects for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_attempts for select to sealcast_admin using (true);
create policy admin_read on sealcast.event_dead_letters for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.event_leases for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.event_workers for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.event_partitions for select to sealcast_admin using (true);
create policy admin_read on sealcast_internal.event_losses for select to sealcast_admin using (true);

create policy readable on sealcast.streams for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.stream_rules for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.pins for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.messages for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.redactions for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.stream_runs for select to sealcast_user using (sealcast.caller_can_read(stream_id));
create policy readable on sealcast.message_types for select to sealcast_user using (true);
create policy own_or_moderated on sealcast.stream_roles for select to sealcast_user
  using (user_id = (select sealcast.caller_id()) or sealcast.caller_moderates(stream_id));
create policy own_or_moderated on sealcast.restrictions for select to sealcast_user
  using (user_id = (select sealcast.caller_id()) or sealcast.caller_moderates(stream_id));
create policy moderated on sealcast.moderation_log for select to sealcast_user using (sealcast.caller_moderates(stream_id));
create policy moderated on sealcast.report_cases for select to sealcast_user using (sealcast.caller_moderates(stream_id));
