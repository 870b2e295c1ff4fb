// Tests the relay against a small SQL model of leases, outbox and relay log: order, wake-ups, changes of the leader,
// and lost connections.
#include "message/relay.h"

#include <map>

#include "base/asio.h"
#include "support/async.h"
#include "support/postgres_server.h"

namespace sealcast::message {
namespace {

using std::chrono::milliseconds;

constexpr char kSchema[] = R"(
create table leases (shard int primary key, holder text, epoch bigint not null default 0);
insert into leases (shard) values (0), (1);
create table outbox (id bigserial primary key, shard int, stream_id uuid, body text);
create sequence time;
create table log (shard int, batch bigint, stream_id uuid, "offset" bigint, body text, logged_at bigint default nextval('time'));
create table log_epoch (epoch text);
insert into log_epoch values ('first');
create table settled (transport text, shard int, batch bigint);

create function sealcast_internal.claim_shards(who text, lease_ms int, transports text[], out shard int, out epoch bigint, out mine bool, out batch bigint, out logged_at bigint, out log_epoch text)
returns setof record language plpgsql as $$
begin
  update leases l set epoch = l.epoch + (l.holder is distinct from who)::int, holder = who
  where l.holder is null or l.holder = who;
  return query select l.shard, l.epoch, l.holder = who, coalesce((select max(g.batch) from log g where g.shard = l.shard), 0),
    coalesce((select max(g.logged_at) from log g where g.shard = l.shard), 0), (select e.epoch from log_epoch e) from leases l order by l.shard;
end $$;

create table checked (epoch text, shards int[], published bigint[], newest bigint[], logged_at bigint[]);
create function sealcast_internal.check_log(epoch text, shards int[], published bigint[], newest bigint[], logged_at bigint[]) returns void language sql as $$
  insert into checked values (epoch, shards, published, newest, logged_at) $$;

create function sealcast_internal.release_shards(who text) returns void language sql as $$
  update leases set holder = null where holder = who $$;

create function sealcast_internal.drain(who text, shards int[], epochs bigint[], max_rows int)
returns table (shard int, batch bigint, stream_id uuid, "offset" bigint, prev bigint, envelope text, public_prev bigint, redacted text, retained bool) language plpgsql as $$
#variable_conflict use_column
declare o record; next bigint; s int;
begin
  foreach s in array shards loop
    continue when not exists (select from leases l where l.shard = s and l.holder = who and l.epoch = epochs[array_position(shards, s)]);
    next := coalesce((select max(g.batch) from log g where g.shard = s), 0) + 1;
    for o in delete from outbox where id in (select id from outbox x where x.shard = s order by id limit max_rows) returning * loop
      insert into log values (s, next, o.stream_id,
        coalesce((select max(g."offset") from log g where g.stream_id = o.stream_id), 0) + 1, o.body);
    end loop;
    -- A batch may be empty.
    insert into log select s, next, null, 0, null where not exists (select from log g where g.shard = s and g.batch = next)
      and exists (select from log g where g.shard <> s);
    return query select g.shard, g.batch, g.stream_id, g."offset", g."offset" - 1, g.body, g."offset" - 1, null, g.body like '%"n":2,%' from log g
      where g.shard = s and g.batch = next and g.stream_id is not null order by g."offset";
  end loop;
end $$;

create function sealcast_internal.tail(shards int[], after bigint[], max_batches int)
returns table (shard int, batch bigint, stream_id uuid, "offset" bigint, prev bigint, envelope text, public_prev bigint, redacted text, retained bool) language sql as $$
  select g.shard, g.batch, g.stream_id, g."offset", g."offset" - 1, g.body, g."offset" - 1, null, g.body like '%"n":2,%'
  from unnest(shards, after) a (shard, after) join log g on g.shard = a.shard and g.batch > a.after
    and g.batch <= a.after + max_batches
  order by 1, 2, 3, 4 $$;

create function sealcast_internal.settle(t text, shards int[], epochs bigint[], batches bigint[]) returns void language sql as $$
  insert into settled select t, s, b from unnest(shards, batches) u (s, b) $$;

create function send(n int, s int, notifies bool) returns void language plpgsql as $$
begin
  insert into outbox (shard, stream_id, body)
  select s, ('00000000-0000-4000-8000-00000000000' || s)::uuid, '{"v":1,"n":' || i || ',"ts":1700000000000}' from generate_series(1, n) i;
  if notifies then notify sealcast; end if;
end $$;
)";

class Recorder final : public transport::Transport {
 public:
  std::string_view name() const override { return "recorder"; }
  transport::Channel channel() const override { return transport::Channel::everyone; }
  bool delivers_at_once() const override { return true; }
  void begin_log(std::string_view epoch) override { epochs.emplace_back(epoch); }
  void publish(std::span<const transport::FramePtr> frames, std::span<const transport::Lead> now) override {
    for (const transport::Lead& lead : now) leads[lead.shard] = lead.batch;
    for (const transport::FramePtr& frame : frames) offsets[frame->stream_id].push_back(frame->offset);
    if (!frames.empty()) last = frames.back();
    count += frames.size();
  }
  // Returns true if the offsets of each stream are consecutive and begin with `first`.
  bool gapless(std::int64_t first = 1) const {
    for (const auto& [stream, seen] : offsets) {
      for (std::size_t i = 0; i < seen.size(); ++i) {
        if (seen[i] != first + static_cast<std::int64_t>(i)) return false;
      }
    }
    return true;
  }

  std::map<std::string, std::vector<std::int64_t>> offsets;
  std::map<std::int32_t, std::int64_t> leads;
  std::vector<std::string> epochs;
  transport::FramePtr last;
  std::size_t count = 0;
};

class RelayTest : public testing::Test {
 protected:
  ~RelayTest() override {
    if (relay_) test::await(io_, relay_->finish(Relay::Clock::now() + milliseconds(500)));
    io_.restart();
    io_.run_for(milliseconds(300));
  }

  void start(milliseconds poll = milliseconds(60'000)) {
    settings_.dsn = server_.dsn();
    settings_.holder = "me";
    settings_.lease = milliseconds(600);
    settings_.poll = poll;
    settings_.max_rows = 10;
    relay_ = std::make_unique<Relay>(io_.get_executor(), settings_, milliseconds(5000),
                                     Relay::Parts{.metrics = metrics_, .transports = {&recorder_}});
    relay_->start();
    ASSERT_TRUE(test::run_until(io_, [&] { return relay_->listening(); }));
  }

  bool received(std::size_t count) {
    return test::run_until(io_, [&] { return recorder_.count >= count; });
  }

  test::PostgresServer server_{kSchema};
  asio::io_context io_;
  Metrics metrics_;
  Recorder recorder_;
  config::Settings::Relay settings_{};
  std::unique_ptr<Relay> relay_;
};

TEST_F(RelayTest, MessagesAreRelayedInOrderAfterANotification) {
  start();
  server_.run("select send(35, 0, true); select send(3, 1, true)");
  ASSERT_TRUE(received(38));
  EXPECT_TRUE(recorder_.gapless());
  EXPECT_EQ(recorder_.offsets["00000000-0000-4000-8000-000000000000"].size(), 35u);
  server_.run("select send(1, 1, true)");
  ASSERT_TRUE(received(39));
  EXPECT_EQ(recorder_.last->text, R"({"offset":4,"prev":3,"envelope":{"v":1,"n":1,"ts":1700000000000}})");
}

TEST_F(RelayTest, ThePollFindsMessagesWithoutANotification) {
  start(milliseconds(100));
  server_.run("select send(2, 0, false)");
  ASSERT_TRUE(received(2));
}

TEST_F(RelayTest, WakeRelaysAtOnce) {
  start();
  server_.run("select send(2, 0, false)");
  relay_->wake();
  ASSERT_TRUE(received(2));
}

TEST_F(RelayTest, TheShardsOfAnotherLeaderAreTailed) {
  server_.run("update leases set holder = 'other', epoch = 4 where shard = 0");
  start(milliseconds(50));
  server_.run("select send(25, 0, true)");
  for (int i = 0; i < 3; ++i) server_.run("select count(*) from sealcast_internal.drain('other', '{0}', '{4}', 10)");
  ASSERT_TRUE(received(25));
  server_.run("select send(2, 1, true)");
  ASSERT_TRUE(received(27));
  EXPECT_TRUE(recorder_.gapless());
}

TEST_F(RelayTest, AnAcquiredShardContinuesWithoutLossesOrRepeats) {
  server_.run("update leases set holder = 'other', epoch = 4 where shard = 0");
  start(milliseconds(60'000));
  server_.run("select send(25, 0, false)");
  server_.run("select count(*) from sealcast_internal.drain('other', '{0}', '{4}', 10)");
  server_.run("update leases set holder = null where shard = 0");
  ASSERT_TRUE(received(25));
  EXPECT_TRUE(recorder_.gapless());
  EXPECT_EQ(recorder_.count, 25u);
}

TEST_F(RelayTest, TheBatchOfADrainWhoseResultWasLostIsRead) {
  start();
  server_.run("select send(3, 0, true)");
  ASSERT_TRUE(received(3));
  // Simulates a drain of this relay that commits just before its connection is lost: another connection calls drain()
  // as the same holder, and then ends the relay's connection.
  server_.run(
      "select send(4, 0, false); select count(*) from sealcast_internal.drain('me', '{0}', '{1}', 10);"
      "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> "
      "pg_backend_pid()");
  ASSERT_TRUE(received(7));
  server_.run("select send(3, 0, true)");
  ASSERT_TRUE(received(10));
  EXPECT_TRUE(recorder_.gapless());
  EXPECT_EQ(recorder_.count, 10u);
}

TEST_F(RelayTest, TheRelayContinuesAfterARestartOfPostgres) {
  start();
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !relay_->listening(); }));
  server_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return relay_->listening(); }));
  server_.run("select send(2, 0, true)");
  ASSERT_TRUE(received(2));
}

TEST_F(RelayTest, ANewConnectionChecksThatTheDatabaseHasTheKnownBatches) {
  start();
  EXPECT_EQ(server_.run("select count(*) from checked"), "0") << "the relay knows no batches yet";
  server_.run("select send(3, 0, true)");
  ASSERT_TRUE(received(3));
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !relay_->listening(); }));
  server_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return relay_->listening(); }));
  EXPECT_EQ(server_.run("select concat_ws(' ', epoch, shards, published) from checked"), "first {0,1} {1,0}");
}

// The new history begins with lower batches and offsets than the relay has published.
TEST_F(RelayTest, AnotherEpochRelaysTheBatchesThatAreGivenAgain) {
  start(milliseconds(100));
  for (int batch = 1; batch <= 3; ++batch) {
    server_.run("select send(10, 0, true)");
    ASSERT_TRUE(received(static_cast<std::size_t>(10 * batch)));
  }
  server_.run(
      "begin; delete from log; update log_epoch set epoch = 'second'; update leases set epoch = epoch + 1; commit");
  ASSERT_TRUE(test::run_until(io_, [&] { return recorder_.epochs == std::vector<std::string>{"first", "second"}; }));
  recorder_.offsets.clear();
  server_.run("select send(2, 0, true)");
  ASSERT_TRUE(received(32));
  EXPECT_TRUE(recorder_.gapless());
  EXPECT_EQ(recorder_.leads.at(0), 1) << "the transports learn that the newest batch is the first one";
}

TEST_F(RelayTest, FinishRelaysTheRestAndReleasesTheLeases) {
  start();
  server_.run("select send(25, 0, false)");
  test::await(io_, relay_->finish(Relay::Clock::now() + std::chrono::seconds(10)));
  EXPECT_EQ(recorder_.count, 25u);
  EXPECT_EQ(server_.run("select count(*) from leases where holder is not null"), "0");
}

TEST_F(RelayTest, ThePublishedBatchIsSettled) {
  start(milliseconds(100));
  server_.run("select send(2, 0, true)");
  ASSERT_TRUE(received(2));
  EXPECT_TRUE(test::run_until(io_, [&] {
    return server_.run(
               "select exists (select from settled s join log g using (shard, batch) where s.transport = 'recorder' "
               "and s.shard = 0)") == "t";
  }));
}

}  // namespace
}  // namespace sealcast::message
