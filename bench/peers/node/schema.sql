-- The table of the peer on Node.js.
set client_min_messages = warning;
drop schema if exists peer_node cascade;
create schema peer_node;
create table peer_node.messages (
  id bigint generated always as identity primary key,
  sender_id uuid not null,
  txn_id uuid not null,
  stream_id uuid not null,
  t text not null,
  kid text not null,
  ts bigint not null,
  d text not null,
  sig text not null,
  unique (sender_id, txn_id)
);
