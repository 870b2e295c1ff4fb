// Tests admission: batches, splits, retries and limits. The admit() of the test database behaves as the payload
// demands; the payload 'slow', for example, makes it sleep.
#include "message/admission.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "base/asio.h"
#include "core/uuid.h"
#include "support/async.h"
#include "support/postgres_server.h"

namespace sealcast::message {
namespace {

using std::chrono::milliseconds;

constexpr char kSchema[] = R"(
create type sealcast.verdict as (item int, status int, code text, message text, details text, hint text,
                                 retry_after_ms bigint, replayed bool, envelope text);
create table stored (sender_id uuid, txn_id uuid, d text, primary key (sender_id, txn_id));
create table batches (id serial, size int);
create unlogged sequence attempts;
create function sealcast.admit(stream_ids uuid[], types text[], sender_ids uuid[], txn_ids uuid[], payloads text[])
returns setof sealcast.verdict language plpgsql as $$
declare n int; i int := cardinality(payloads);
begin
  insert into batches (size) values (i);
  if 'slow' = any (payloads) then perform pg_sleep(0.3); end if;
  if 'stuck' = any (payloads) then perform pg_sleep(60); end if;
  if 'poison' = any (payloads) then raise exception 'poison'; end if;
  if 'deadlock' = any (payloads) and nextval('attempts') < 3 then
    raise exception 'lost a race' using errcode = '40P01';
  end if;
  if 'shutdown' = any (payloads) and nextval('attempts') < 3 then
    raise exception 'going' using errcode = '57P03';
  end if;
  if 'dies' = any (payloads) and nextval('attempts') < 2 then
    perform pg_terminate_backend(pg_backend_pid());
    perform pg_sleep(1);
  end if;
  if 'dies on a full disk' = any (payloads) and nextval('attempts') < 2 then
    perform pg_terminate_backend(pg_backend_pid());
    perform pg_sleep(1);
  end if;
  if payloads && '{full,dies on a full disk}' then raise exception 'no space' using errcode = '53100'; end if;
  if 'read-only' = any (payloads) then
    perform nextval('attempts');
    raise exception 'a standby' using errcode = '25006';
  end if;
  if 'held' = any (payloads) then
    return query select g, 503, 'txn_in_progress', 'held', null::text, null::text, 200::bigint, false, null::text
      from generate_series(1, i) g;
    return;
  end if;
  for k in 1 .. i loop
    insert into stored values (sender_ids[k], txn_ids[k], payloads[k]) on conflict do nothing;
    get diagnostics n = row_count;
    return next (k, 200, null, null, null, null, null, n = 0, stream_ids[k] || '/' || types[k] || '/' || payloads[k])::sealcast.verdict;
  end loop;
end $$;
)";

class AdmissionTest : public testing::Test {
 protected:
  ~AdmissionTest() override {
    if (admission_) admission_->stop();
    io_.restart();
    io_.run_for(milliseconds(500));
  }

  void start() {
    postgres_.dsn = server_.dsn();
    admission_ =
        std::make_unique<Admission>(io_.get_executor(), settings_, postgres_,
                                    Admission::Parts{.metrics = metrics_, .on_commit = [this] { ++commits_; }});
    admission_->start();
    ASSERT_TRUE(test::run_until(io_, [&] { return admission_->connected(); }));
    // The three others are the lane of repeats, the connection for messages sent alone, and the connection of this
    // query.
    auto all = std::to_string(settings_.lanes + 3);
    ASSERT_TRUE(test::run_until(io_, [&] {
      return server_.run("select count(*) from pg_stat_activity where backend_type = 'client backend'") == all;
    }));
    io_.restart();
    io_.run_for(milliseconds(50));
  }

  struct Sent {
    std::string d;
    std::optional<Verdict> verdict;
  };

  // Starts to send a message and returns without waiting for its verdict.
  Sent& send(std::string d, int txn = 0, bool seen = false) {
    Sent& sent = sent_.emplace_back(std::move(d), std::nullopt);
    static int next = 1000;
    char text[37];
    std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012d", txn ? txn : next++);
    Message message{.stream_id = postgres::uuid_bytes("0190d000-0000-7000-8000-000000000001"),
                    .sender_id = postgres::uuid_bytes("0190d000-0000-7000-8000-0000000000a1"),
                    .txn_id = postgres::uuid_bytes(text),
                    .t = "chat",
                    .d = sent.d,
                    .seen = seen};
    asio::co_spawn(io_, admission_->admit(message), [&sent](std::exception_ptr error, Verdict verdict) {
      ASSERT_FALSE(error);
      sent.verdict = std::move(verdict);
    });
    return sent;
  }

  bool answered() {
    return test::run_until(
        io_, [&] { return std::ranges::all_of(sent_, [](const Sent& s) { return s.verdict.has_value(); }); });
  }

  test::PostgresServer server_{kSchema};
  asio::io_context io_;
  Metrics metrics_;
  config::Settings::Admission settings_{.lanes = 1, .max_batch = 100, .max_waiting = 100};
  config::Settings::Postgres postgres_{.dsn = {}, .password_file = {}, .timeout = milliseconds(10'000)};
  std::unique_ptr<Admission> admission_;
  std::deque<Sent> sent_;
  int commits_ = 0;
};

TEST_F(AdmissionTest, EachMessageGetsItsOwnVerdict) {
  start();
  for (int i = 0; i < 5; ++i) send("d" + std::to_string(i));
  ASSERT_TRUE(answered());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(sent_[i].verdict->status, 200);
    EXPECT_EQ(sent_[i].verdict->envelope, "0190d000-0000-7000-8000-000000000001/chat/d" + std::to_string(i));
    EXPECT_FALSE(sent_[i].verdict->replayed);
  }
  EXPECT_TRUE(admission_->idle());
}

TEST_F(AdmissionTest, WaitIdleReturnsOnceAllMessagesHaveTheirVerdicts) {
  start();
  EXPECT_TRUE(test::await(io_, admission_->wait_idle(Admission::Clock::now())));
  send("slow");
  EXPECT_FALSE(test::await(io_, admission_->wait_idle(Admission::Clock::now())));
  EXPECT_TRUE(test::await(io_, admission_->wait_idle(Admission::Clock::now() + std::chrono::seconds(30))));
  EXPECT_TRUE(admission_->idle());
  EXPECT_TRUE(answered());
}

TEST_F(AdmissionTest, MessagesThatArriveDuringABatchFormTheNextBatch) {
  start();
  send("slow");
  test::run_until(io_, [&] {
    return server_.run(
               "select count(*) from pg_stat_activity where state = 'active' and query like '%admit%' and pid <> "
               "pg_backend_pid()") == "1";
  });
  for (int i = 0; i < 30; ++i) send("d");
  ASSERT_TRUE(answered());
  EXPECT_EQ(server_.run("select string_agg(size::text, ',' order by id) from batches"), "1,30");
  EXPECT_EQ(commits_, 2);
}

TEST_F(AdmissionTest, ABatchHasAtMostMaxBatchMessages) {
  settings_.max_batch = 4;
  start();
  for (int i = 0; i < 10; ++i) send("d");
  ASSERT_TRUE(answered());
  EXPECT_EQ(server_.run("select string_agg(size::text, ',' order by id) from batches"), "4,4,2");
}

TEST_F(AdmissionTest, AMessageAboveMaxWaitingIsRefusedAtOnce) {
  settings_.max_batch = 1;
  settings_.max_waiting = 3;
  start();
  for (int i = 0; i < 5; ++i) send("slow");
  EXPECT_TRUE(test::run_until(io_, [&] { return sent_[4].verdict.has_value(); }));
  EXPECT_EQ(sent_[4].verdict->status, 503);
  EXPECT_EQ(sent_[4].verdict->code, "overloaded");
  EXPECT_GT(sent_[4].verdict->retry_after_ms, 0);
  EXPECT_FALSE(sent_[0].verdict.has_value()) << "it was refused only after the other messages";
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->status, 200);
}

TEST_F(AdmissionTest, TheMessagesOfABatchThatMetAnOpenTransactionAreSentAlone) {
  start();
  send("slow");
  for (const char* d : {"a", "held", "b"}) send(d);
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[1].verdict->status, 200);
  EXPECT_EQ(sent_[3].verdict->status, 200);
  EXPECT_EQ(sent_[2].verdict->status, 503);
  EXPECT_EQ(sent_[2].verdict->code, "txn_in_progress");
}

TEST_F(AdmissionTest, AMessageThatFailsDoesNotFailTheOthersOfItsBatch) {
  start();
  send("slow");
  for (const char* d : {"a", "poison", "b"}) send(d);
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[1].verdict->status, 200);
  EXPECT_EQ(sent_[3].verdict->status, 200);
  EXPECT_EQ(sent_[2].verdict->status, 500);
  EXPECT_EQ(sent_[2].verdict->code, "internal_error");
}

TEST_F(AdmissionTest, RepeatsHaveTheirOwnLane) {
  postgres_.timeout = milliseconds(1000);
  start();
  send("stuck", 0, true);
  send("quick");
  ASSERT_TRUE(test::run_until(io_, [&] { return sent_[1].verdict.has_value(); }));
  EXPECT_EQ(sent_[1].verdict->status, 200);
  EXPECT_FALSE(sent_[0].verdict.has_value());
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->code, "database_unavailable");
}

TEST_F(AdmissionTest, ABatchIsRetriedAfterALostRaceAndAfterATransientError) {
  start();
  send("deadlock");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->status, 200);
  server_.run("select setval('attempts', 1, false)");
  send("shutdown");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[1].verdict->status, 200);
}

TEST_F(AdmissionTest, ABatchIsSentAgainAfterItsConnectionWasLost) {
  start();
  send("dies", 7);
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->status, 200);
  EXPECT_EQ(server_.run("select count(*) from stored"), "1");
}

TEST_F(AdmissionTest, WithoutPostgresMessagesAreRefusedAtOnceUntilItIsBack) {
  start();
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !admission_->connected(); }));
  auto began = Admission::Clock::now();
  send("d");
  ASSERT_TRUE(answered());
  EXPECT_LT(Admission::Clock::now() - began, milliseconds(1000));
  EXPECT_EQ(sent_[0].verdict->code, "database_unavailable");
  server_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return admission_->connected(); }));
  send("d");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[1].verdict->status, 200);
}

TEST_F(AdmissionTest, BatchesInFlightAreAnsweredWhenPostgresDoesNotComeBack) {
  postgres_.timeout = milliseconds(1500);
  settings_.max_batch = 1;
  start();
  for (int i = 0; i < 3; ++i) send("slow");
  test::run_until(io_, [&] {
    return server_.run(
               "select count(*) from pg_stat_activity where query like '%admit%' and state = 'active' and pid <> "
               "pg_backend_pid()") == "1";
  });
  server_.stop();
  ASSERT_TRUE(answered());
  for (const Sent& sent : sent_)
    EXPECT_TRUE(sent.verdict->status == 200 || sent.verdict->code == "database_unavailable");
  EXPECT_EQ(sent_[2].verdict->code, "database_unavailable");
  EXPECT_TRUE(admission_->idle());
}

TEST_F(AdmissionTest, AMessageIsAnsweredAtItsDeadline) {
  postgres_.timeout = milliseconds(300);
  settings_.max_batch = 1;
  start();
  send("stuck");
  send("d");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->code, "database_unavailable");
  EXPECT_EQ(sent_[1].verdict->status, 503);
}

TEST_F(AdmissionTest, AFullDiskIsAnsweredAtOnceAndReportedUntilAMessageIsStored) {
  start();
  const auto began = Admission::Clock::now();
  send("full");
  ASSERT_TRUE(answered());
  EXPECT_LT(Admission::Clock::now() - began, milliseconds(5000));
  EXPECT_EQ(sent_[0].verdict->status, 503);
  EXPECT_EQ(sent_[0].verdict->code, "database_full");
  EXPECT_GT(sent_[0].verdict->retry_after_ms, 0);
  EXPECT_NE(admission_->problem(), "");
  send("d");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[1].verdict->status, 200);
  EXPECT_EQ(admission_->problem(), "");
}

TEST_F(AdmissionTest, AReadOnlyServerIsTriedAgainUntilTheDeadline) {
  postgres_.timeout = milliseconds(700);
  start();
  send("read-only");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->status, 503);
  EXPECT_EQ(sent_[0].verdict->code, "database_read_only");
  EXPECT_NE(server_.run("select nextval('attempts')"), "2") << "it was tried once";
}

TEST_F(AdmissionTest, AMessageStaysInDoubtWhateverALaterAttemptMeets) {
  start();
  send("dies on a full disk");
  ASSERT_TRUE(answered());
  EXPECT_EQ(sent_[0].verdict->status, 503);
  EXPECT_EQ(sent_[0].verdict->code, "database_unavailable");
}

}  // namespace
}  // namespace sealcast::message
