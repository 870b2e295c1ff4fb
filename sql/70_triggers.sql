-- Triggers for the user's own tables: seal_row() seals a column, and idempotent_insert() inserts each (sender, txn)
-- once.

create function sealcast.seal_row() returns trigger
  language c as 'MODULE_PATHNAME', 'sealcast_seal_row';
comment on function sealcast.seal_row() is
  'Trigger BEFORE INSERT FOR EACH ROW that seals a column. Arguments: (sealed column, message type or :column, stream column, sender column, txn column [, payload column])';

-- sender_id and txn_id are text, because the keys of users' tables may have any type.
create table sealcast.row_keys (
  table_id regclass not null,
  sender_id text not null,
  txn_id text not null,
  primary key (table_id, sender_id, txn_id)
);
comment on table sealcast.row_keys is 'The keys of the rows that idempotent_insert() has let through';

-- Runs as the extension's owner: a role that may insert into the table needs no right on the keys of other tables.
create function sealcast.idempotent_insert() returns trigger
  language c security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_idempotent_insert';
comment on function sealcast.idempotent_insert() is
  'Trigger BEFORE INSERT FOR EACH ROW that skips a row whose key was inserted before. Arguments: (sender column, txn column)';
