-- What pg_dump keeps: the users' data. Partitions are tables of their own and dumped as such. Neither the outbox nor
-- positions in it: they name transactions of this cluster (maintain() queues what a restored dump had not relayed).

select pg_extension_config_dump('sealcast.retention', '');
select pg_extension_config_dump('sealcast.streams', '');
select pg_extension_config_dump('sealcast.stream_roles', '');
select pg_extension_config_dump('sealcast.restrictions', '');
select pg_extension_config_dump('sealcast.message_types', 'where not built_in');
select pg_extension_config_dump('sealcast.cells', '');
select pg_extension_config_dump('sealcast.cell_pins', '');
select pg_extension_config_dump('sealcast.message_ids', '');
select pg_extension_config_dump('sealcast.txn_keys', '');
-- Where streams stand between transports.
select pg_extension_config_dump('sealcast.switching', '');
select pg_extension_config_dump('sealcast.delivery_changes', '');
select pg_extension_config_dump('sealcast.delivery_changes_change_id_seq', '');
-- Offsets outlive the cluster, batches do not: in another one each transport begins anew, but for these.
select pg_extension_config_dump('sealcast.delivery_lags', '');
select pg_extension_config_dump('sealcast.dead_letters', '');
-- Effects, and how far they are known, wherever the messages go. Not who reads partitions, nor what a Redis held.
select pg_extension_config_dump('sealcast.event_handlers', '');
select pg_extension_config_dump('sealcast.event_effects', '');
select pg_extension_config_dump('sealcast.event_attempts', '');
select pg_extension_config_dump('sealcast.event_dead_letters', '');
-- Not the keys of tables that are gone: a number means another table elsewhere.
select pg_extension_config_dump('sealcast.row_keys', 'where table_id in (select oid from pg_catalog.pg_class)');
