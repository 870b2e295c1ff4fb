-- The demo: one public room that the demo's user owns. Variables: stream, user. Repeating it changes nothing.
insert into sealcast.streams (stream_id, title) values (:'stream', 'Demo room')
  on conflict do nothing;
insert into sealcast.stream_roles (stream_id, user_id, role) values (:'stream', :'user', 'owner')
  on conflict do nothing;
