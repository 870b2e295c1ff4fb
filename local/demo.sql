-- Creates the demo: a public room that the user of the demo owns. Variables: stream, user. It can be run again at any time.
insert into sealcast.streams (stream_id, title) values (:'stream', 'Demo room')
  on conflict do nothing;
insert into sealcast.stream_roles (stream_id, user_id, role) values (:'stream', :'user', 'owner')
  on conflict do nothing;
