// Keeps one session with LISTEN for the peer and reads the notifications.
import pg from 'pg';

const client = new pg.Client();
await client.connect();
client.on('notification', () => {});
await client.query('listen peer_messages');
