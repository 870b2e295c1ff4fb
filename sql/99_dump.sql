-- The tables that pg_dump dumps: the users' data. Partitions are tables of their own and are dumped as such. The outbox
-- and the positions in it are not dumped, because they name transactions of this cluster; after a restore, maintain()
-- queues the messages that were not relayed. The epoch of the log is not dumped, so that readers notice a restore.

select pg_extension_config_dump('sealcast.retention', '');
select pg_extension_config_dump('sealcast.streams', '');
select pg_extension_config_dump('sealcast.stream_roles', '');
select pg_extension_config_dump('sealcast.restrictions', '');
select pg_extension_config_dump('sealcast.stream_rules', '');
select pg_extension_config_dump('sealcast.pins', '');
select pg_extension_config_dump('sealcast.moderation_log', '');
select pg_extension_config_dump('sealcast.report_cases', '');
select pg_extension_config_dump('sealcast.reports', '');
select pg_extension_config_dump('sealcast.held_messages', '');
select pg_extension_config_dump('sealcast.blocked_terms', '');
select pg_extension_config_dump('sealcast.term_hits', '');
select pg_extension_config_dump('sealcast.message_types', '');
select pg_extension_config_dump('sealcast.added_types', '');
select pg_extension_config_dump('sealcast.cells', '');
select pg_extension_config_dump('sealcast.cell_pins', '');
select pg_extension_config_dump('sealcast_internal.message_ids', '');
select pg_extension_config_dump('sealcast.txn_keys', '');
select pg_extension_config_dump('sealcast.redactions', '');
-- Offsets are valid in another cluster.
select pg_extension_config_dump('sealcast.retained_messages', '');
-- How far each stream has moved between transports.
select pg_extension_config_dump('sealcast.switching', '');
select pg_extension_config_dump('sealcast.delivery_changes', '');
select pg_extension_config_dump('sealcast.delivery_changes_change_id_seq', '');
-- Also a rate that is not forced: the sidecar of the restored database then tells the readers when the sampling ends.
select pg_extension_config_dump('sealcast.sampling', '');
-- Offsets are valid in another cluster, batches are not. So in another cluster each transport begins anew, except for
-- the streams that lag and the dead letters.
select pg_extension_config_dump('sealcast.delivery_lags', '');
select pg_extension_config_dump('sealcast.dead_letters', '');
select pg_extension_config_dump('sealcast.webhook_events', '');
select pg_extension_config_dump('sealcast_internal.webhook_subscription', '');
-- The effects of messages are valid in any cluster. The leases of partitions and the contents of Redis are not.
select pg_extension_config_dump('sealcast.event_handlers', '');
select pg_extension_config_dump('sealcast.event_effects', '');
select pg_extension_config_dump('sealcast.event_attempts', '');
select pg_extension_config_dump('sealcast.event_dead_letters', '');
-- Not the keys of dropped tables: in another database, the number of a dropped table is another table. Not the keys of
-- rows: they come with the rows.
select pg_extension_config_dump('sealcast_internal.row_keys',
  'where (table_id, key) in (select k.table_id, k.key from sealcast_internal.keys_without_row() k)');
