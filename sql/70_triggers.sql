-- Triggers for anybody's tables: sealing a column, and letting each (sender, txn) in once.

create function sealcast.seal_row() returns trigger
  language c as 'MODULE_PATHNAME', 'sealcast_seal_row';
comment on function sealcast.seal_row() is
  'BEFORE INSERT FOR EACH ROW: (sealed column, message type or :column, stream column, sender column, txn column [, payload column])';

-- sender_id and txn_id as text, since other people's tables have keys of any type.
create table sealcast.row_keys (
  table_id regclass not null,
  sender_id text not null,
  txn_id text not null,
  primary key (table_id, sender_id, txn_id)
);
comment on table sealcast.row_keys is 'What idempotent_insert() has let in';

-- As the extension's owner, since who may insert into the table has no business with everybody's keys.
create function sealcast.idempotent_insert() returns trigger
  language c security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_idempotent_insert';
comment on function sealcast.idempotent_insert() is
  'BEFORE INSERT FOR EACH ROW: (sender column, txn column). Leaves out a row whose key was inserted before';
