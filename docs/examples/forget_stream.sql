-- Deletes the rest of a stream in its old cell, after a move: psql -v stream=ID -f forget_stream.sql
-- Does nothing in the cell that now has the stream.
begin;
create temp table gone on commit drop as
  select stream_id from sealcast.streams
  where stream_id = :'stream' and sealcast.cell_of(stream_id) <> sealcast_internal.own_cell();
create temp table sent on commit drop as
  select m.ts, m.message_id, m.sender_id, m.txn_id
  from gone join sealcast.stream_log l using (stream_id) join sealcast.messages m using (ts, message_id);
delete from sealcast.txn_keys k using sent s where k.sender_id = s.sender_id and k.txn_id = s.txn_id;
delete from sealcast.redactions r using sent s where r.ts = s.ts and r.message_id = s.message_id;
delete from sealcast.retained_messages r using gone g where r.stream_id = g.stream_id;
delete from sealcast.messages m using sent s where m.ts = s.ts and m.message_id = s.message_id;
delete from sealcast.stream_runs r using gone g where r.stream_id = g.stream_id;
delete from sealcast.streams s using gone g where s.stream_id = g.stream_id;
commit;
