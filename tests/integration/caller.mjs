// A database connection of an application that sends as a user, as RLS gateways do, within its own transactions.

export class Caller {
  static async connect(stack, user) {
    const caller = new Caller();
    caller.client = await stack.connect();
    await caller.client.query('set role sealcast_user');
    await caller.client.query("select set_config('request.jwt.claims', $1, false)", [JSON.stringify(user.claims)]);
    return caller;
  }

  query(sql) {
    return this.client.query(sql);
  }

  async send({ stream_id, t, d, txn_id }) {
    const parameters = [stream_id, t, JSON.stringify(d), txn_id];
    return (await this.client.query('select sealcast.send_message($1, $2, $3, $4)::text as envelope', parameters)).rows[0].envelope;
  }

  end() {
    return this.client.end();
  }
}
