// Holds the peer's LISTENing session, and reads what comes.
import pg from 'pg';

const client = new pg.Client();
await client.connect();
client.on('notification', () => {});
await client.query('listen peer_messages');
