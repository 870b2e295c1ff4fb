-- Tests cells: in which cell a stream is (by the vectors that also test the sidecar and the client), and the answers
-- for a stream in another cell.
begin;
\ir scene.psql
\set vectors `cat tests/vectors/cells.json`
select plan(49);

-- rendezvous()
create temp table vector as
  select stream_id, array(select json_array_elements_text(cells)) as cells, cell
  from json_to_recordset(:'vectors'::json -> 'streams') v (stream_id uuid, cells json, cell text);
select cmp_ok(count(*), '>=', 40::bigint, 'the file of the vectors of rendezvous() has enough vectors') from vector;
select is(count(*), 0::bigint, 'rendezvous() gives each stream of the vectors its cell') from vector
where sealcast.rendezvous(stream_id, cells) is distinct from cell;
select is(count(*), 0::bigint, 'nulls and duplicates in the array change nothing') from vector
where sealcast.rendezvous(stream_id, array[null] || cells || cells) is distinct from cell;
select is(sealcast.rendezvous(:room, '{}'), null, 'rendezvous() over no cells is null');
select is((select concat(provolatile, proparallel, proisstrict) from pg_proc where oid = 'sealcast.rendezvous'::regproc), 'ist',
          'rendezvous() is immutable, so it may be indexed');

-- A database that is no cell.
select is(sealcast.cell_of(:room), null, 'without cells, cell_of() is null');
insert into sealcast.cells values ('a', 'https://a.example'), ('b', 'http://127.0.0.1:8081'), ('c', 'http://[::1]');
select is((select count(*) from sealcast_internal.cell_map()), 0::bigint, 'while sealcast.cell is not set, cell_map() is empty');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'while sealcast.cell is not set, all streams are here');

-- cell_of()
insert into sealcast.streams (stream_id)
  select ('c0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid from generate_series(1, 30) n;
select is(count(*), 0::bigint, 'each stream is in the cell that rendezvous() chooses') from sealcast.streams
where sealcast.cell_of(stream_id) <> sealcast.rendezvous(stream_id, '{a,b,c}');
select is(count(distinct sealcast.cell_of(stream_id)), 3::bigint, 'each cell has streams') from sealcast.streams;
insert into sealcast.cell_pins values (:room, 'b');
select is(sealcast.cell_of(:room), 'b', 'a pinned stream is in the cell of its pin');
update sealcast.cell_pins set cell = 'a';
select is(sealcast.cell_of(:room), 'a', 'a pin may name the cell that rendezvous() chooses or another');

-- The constraints of the tables.
create temp table refused (statement text, state text, why text);
insert into refused values
  ($$insert into sealcast.cells values ('B', 'https://x.example')$$, '23514', 'a cell name in capitals'),
  ($$insert into sealcast.cells values ('', 'https://x.example')$$, '23514', 'an empty cell name'),
  ($$insert into sealcast.cells values (repeat('x', 33), 'https://x.example')$$, '23514', 'a cell name of 33 characters'),
  ($$insert into sealcast.cells values ('x', 'ftp://x.example')$$, '23514', 'a URL with another scheme'),
  ($$insert into sealcast.cells values ('x', 'https://x.example/')$$, '23514', 'a URL with a path'),
  ($$insert into sealcast.cells values ('x', 'https://user@x.example')$$, '23514', 'a URL with credentials'),
  ($$insert into sealcast.cells values ('x', E'https://x.example\r\nX: y')$$, '23514', 'a URL with a second line'),
  ($$insert into sealcast.cell_pins values (gen_random_uuid(), 'x')$$, '23503', 'a pin to a cell that does not exist'),
  ($$delete from sealcast.cells where cell = 'a'$$, '23503', 'deleting a cell that has pins');
select is(pg_temp.outcome('sealcast_admin', null, statement), state, 'the constraints refuse ' || why) from refused;
select throws_ok($$set local sealcast.cell = 'A cell'$$, '22023', null, 'sealcast.cell refuses an invalid name');

-- This database is cell b. The room is pinned to cell a.
select pg_temp.admit(:room, 'chat', :guest, '{"n":1}', 'c0000000-0000-4000-8000-0000000000f1') \g /dev/null
set local sealcast.cell = 'b';
select is(array(select concat_ws(' ', cell, url, own, stream_id) from sealcast_internal.cell_map() order by cell, stream_id nulls first),
          array['a https://a.example f', 'a https://a.example f ' || :room, 'b http://127.0.0.1:8081 t', 'c http://[::1] f'],
          'cell_map() returns all cells and pins');
select is(array(select count(*) from sealcast.streams s
                where pg_temp.admit(s.stream_id, 'chat', :guest, '{}') <>
                      case sealcast.cell_of(s.stream_id) when 'b' then '200' else '421 wrong_cell' end
                  and s.closed_at is null), array[0::bigint], 'admit() refuses exactly the streams of other cells');
create temp table moved as
  select * from sealcast.admit(array_fill(:room::uuid, array[3]), '{chat,no.such,chat}', array_fill(:guest::uuid, array[3]),
    '{c0000000-0000-4000-8000-0000000000f1,c0000000-0000-4000-8000-0000000000f2,c0000000-0000-4000-8000-0000000000f1}',
    '{"{\"n\":1}","{}","{\"n\":2}"}');
select is(array(select concat_ws(' ', status, code, case when replayed then 'replayed' end) from moved order by item),
          array['200 replayed', '421 wrong_cell', '409 txn_id_reused'], 'after a stream has moved, only repeats are answered here');
select is((select message || ' | ' || details from moved where item = 2),
          format('stream %s is in cell a | https://a.example', :room), 'the refusal of a stream in another cell names the cell and its URL');
select is((select count(*) from sealcast.txn_keys where txn_id = 'c0000000-0000-4000-8000-0000000000f2'), 0::bigint, 'the refusal of a stream in another cell leaves the txn_id free');
select is(pg_temp.admit(null, 'chat', :guest, '{}'), '400 invalid_request', 'a null stream is an invalid request, not in a wrong cell');
select is(pg_temp.admit(:attic, 'chat', :guest, '{}'),
          case sealcast.cell_of(:attic) when 'b' then '403 stream_closed' else '421 wrong_cell' end, 'the cell is checked before the state of the stream');
insert into sealcast.cell_pins values (:nowhere, 'c'), (:attic, 'b');
select is(pg_temp.admit(:nowhere, 'chat', :guest, '{}'), '421 wrong_cell', 'a stream without a row here can be in another cell');
select is(pg_temp.admit(:attic, 'chat', :guest, '{}'), '403 stream_closed', 'a stream pinned to this cell is checked here');

-- send_message() must refuse before it asks the gate, because the gate would spend the txn_id.
set local sealcast.gate = on;
set local sealcast.gate_socket = '/nonexistent/sealcast.sock';
create function pg_temp.send(stream_id uuid, n integer, txn_id uuid) returns text
  language sql as $$ select format('select sealcast.send_message(%L, ''chat'', ''{"n":%s}'', %L)', stream_id, n, txn_id) $$;
select is(concat_ws(' | ', state, detail, hint), 'PT421 | wrong_cell: https://a.example | Send the message to that cell, with the same txn_id.', 'send_message() refuses a stream of another cell with PT421')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 1, gen_random_uuid()));
select is(result::json ->> 'txn_id', 'c0000000-0000-4000-8000-0000000000f1', 'a repeat of a message that was sent here returns the original')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 1, 'c0000000-0000-4000-8000-0000000000f1'));
select is(pg_temp.outcome('sealcast_user', :guest, pg_temp.send(:room, 2, 'c0000000-0000-4000-8000-0000000000f1')),
          'PT409 txn_id_reused', 'the same txn_id with other content is refused');
select is(pg_temp.outcome('sealcast_user', :guest, pg_temp.send(:attic, 1, gen_random_uuid())), 'PT503 gate_unavailable',
          'for a stream of this cell the gate is asked');
set local sealcast.gate = off;

-- Moderators and owners must call the cell of the stream.
create temp table done (statement text);
insert into done values
  (format('select sealcast.mute(%L, %L)', :room, :guest)), (format('select sealcast.unban(%L, %L)', :room, :guest)),
  (format('select sealcast.set_role(%L, %L, ''vip'')', :room, :guest)),
  (format('select sealcast.migrate_transport(%L, ''sse'')', :room)), (format('select sealcast.set_sampling(%L, 10)', :room)),
  (format('select sealcast.history(%L)', :room));
select is(concat_ws(' | ', state, detail), 'PT421 | wrong_cell: https://a.example', 'in another cell than that of the stream, this is refused: ' || statement)
from done, pg_temp.try('sealcast_user', :owner, statement);
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.ban(null, %L)', :vip)), 'ok', 'a ban in all streams is allowed in every cell');

-- Messages of the system.
insert into sealcast.sampling values (:room, 20, false, now() - interval '1 hour');
insert into sealcast.viewer_counts (stream_id, webrtc, hls, published_at) values (:room, 1, 1, now() - interval '1 hour');
create temp table lease as select * from sealcast_internal.claim_shards('tap', 60000);
select is((sealcast_internal.sample_streams(array_agg(shard::integer), array_agg(epoch), '{}', '{}')).told, 0, 'no sampling rate is announced for a stream of another cell') from lease where mine;
select is(published, 0, 'no viewer count is published for a stream of another cell')
from (select array_agg(shard::integer) as shards, array_agg(epoch) as epochs from lease where mine) l,
     sealcast_internal.publish_viewer_counts(shards, epochs, '{}', '{}', '{}', true, 1000);
select is((select count(*) from sealcast.sampling) + (select count(*) from sealcast.viewer_counts), 0::bigint, 'the sampling rate and the viewer count of the stream are deleted');

insert into sealcast.switching (stream_id, step, since) values (:room, 'hot', now());
select is(sealcast_internal.switch_stream(array_agg(shard::integer), array_agg(epoch), :room, 'tell',
                                 (select warm_up from sealcast.switching), '{}'), true, 'a switching step for a stream of another cell is taken')
from lease where mine;
select is((select count(*) from sealcast.messages where t = 'transport_migrate'), 0::bigint, 'a switching step for a stream of another cell sends no message here');

-- A cell that is not in the list has no stream. A cell without a list has all streams.
set local sealcast.cell = 'gone';
select is(pg_temp.admit(:attic, 'chat', :guest, '{}'), '421 wrong_cell', 'a cell that is not in the list has no stream');
delete from sealcast.cell_pins;
delete from sealcast.cells;
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'a cell without a list has all streams');
select * from finish();
rollback;
