-- Creates the database and its extension, and sets the password of the sidecar. It can be run again at any time.
set client_min_messages = warning;
select 'create database sealcast' where not exists (select from pg_database where datname = 'sealcast') \gexec
\connect sealcast
set client_min_messages = warning;
create extension if not exists sealcast;
alter extension sealcast update;
\set password `cat /run/secrets/database/password`
alter role sealcast_service login password :'password';
call sealcast.run_maintenance();
