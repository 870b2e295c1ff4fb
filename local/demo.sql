-- Creates the demo's public stream and makes a user its owner. Variables: stream, user. A second run changes nothing.
insert into sealcast.streams (stream_id, title) values (:'stream', 'Demo room')
  on conflict do nothing;
insert into sealcast.stream_roles (stream_id, user_id, role) values (:'stream', :'user', 'owner')
  on conflict do nothing;
