-- The tables that pg_dump dumps. Balances and other sums are dumped as they are: no restored row may depend on a
-- trigger.

select pg_extension_config_dump('sealcast_economy.xp_rules', '');
select pg_extension_config_dump('sealcast_economy.xp', '');
select pg_extension_config_dump('sealcast_economy.xp_days', '');
select pg_extension_config_dump('sealcast_economy.currencies', '');
select pg_extension_config_dump('sealcast_economy.transfers', '');
select pg_extension_config_dump('sealcast_economy.transfers_transfer_id_seq', '');
select pg_extension_config_dump('sealcast_economy.entries', '');
select pg_extension_config_dump('sealcast_economy.accounts', '');
select pg_extension_config_dump('sealcast_economy.holds', '');
select pg_extension_config_dump('sealcast_economy.stream_minutes', '');
select pg_extension_config_dump('sealcast_economy.chatters', '');
