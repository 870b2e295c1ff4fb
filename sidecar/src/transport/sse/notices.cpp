// Reads the changes that became visible since the last snapshot, seals those that concern readers here, and delivers.
#include "transport/sse/notices.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "core/uuid.h"

namespace sealcast::transport::sse {
namespace {

constexpr char kSnapshot[] = "select pg_current_snapshot()::text";
constexpr char kNew[] =
    "select xid::text, notice_id, stream_id, user_id, subject from sealcast_internal.new_notices("
    "$1::pg_snapshot, $2::pg_snapshot, $3::xid8, $4, $5)";
constexpr char kSeal[] = "select item, envelope from sealcast_internal.seal_notices($1, $2, $3)";
enum Column { kXid, kNoticeId, kStream, kUser, kSubject };

constexpr std::int32_t kPage = 1000;        // changes that one statement reads
constexpr std::size_t kSealedAtOnce = 200;  // notices that one statement seals
constexpr std::chrono::seconds kPauseAfterError{1};

// The subjects whose change can end the right to read.
constexpr std::array<std::string_view, 4> kRights = {"ban", "role", "visibility", "deleted"};

// Calls `use` with each key under which changes concern the reader.
template <class Use>
void for_each_key(const std::string& stream_id, const std::string& user_id, Use use) {
  const std::string nil(core::kNilUuid);
  use(stream_id + user_id);
  use(nil + user_id);
  use(stream_id + nil);
}

}  // namespace

// The streams that the changes name. A look at the changes for each reader of the other streams would cost too much.
class Notices::Streams {
 public:
  explicit Streams(const Changes& changes) {
    for (const auto& [key, of_reader] : changes) ids_.insert(of_reader.front().stream_id);
    all_ = ids_.contains(std::string(core::kNilUuid));
  }
  bool contain(const std::string& stream_id) const { return all_ || ids_.contains(stream_id); }

 private:
  std::unordered_set<std::string> ids_;
  bool all_;
};

void append_notice(std::string_view envelope, std::string& out) {
  out += "event: notice\ndata: ";
  out += envelope;
  out += "\n\n";
}

Notices::Notices(asio::any_io_executor executor, const Options& options, std::vector<Hub*> hubs, AccessChecks& checks)
    : executor_(executor),
      poll_(options.poll),
      hubs_(std::move(hubs)),
      checks_(checks),
      connection_(postgres::Connection::create(executor, {options.dsn, "notices", options.timeout})),
      wake_up_(executor) {
  connection_->on_notify = [this](std::string_view) { wake_up_.set(); };
  connection_->on_loss = [this] {
    lost_ = true;
    wake_up_.set();
  };
}

Notices::~Notices() {
  connection_->on_notify = nullptr;
  connection_->on_loss = nullptr;
  connection_->stop();
}

void Notices::start() {
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

void Notices::stop() {
  stopping_ = true;
  wake_up_.set();
  connection_->stop();
}

asio::awaitable<void> Notices::run() {
  while (!stopping_) {
    const bool connected = co_await connection_->wait_connected(Event::Clock::now() + poll_);
    if (!connected) continue;
    std::optional<postgres::Error> error;
    try {
      // A new connection may lead to a server with another history, where snapshots count from another place. It may be
      // lost during the statement, and then counts again.
      if (std::exchange(lost_, false)) seen_ = kSawNothing;
      co_await connection_->query("listen sealcast_notices");
      while (connection_->connected() && !stopping_) {
        wake_up_.clear();
        co_await deliver_new();
        failing_ = false;
        co_await wake_up_.wait_for(poll_);
      }
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    if (!error || stopping_) continue;
    // After a transient error the connection is lost, and the connection logs that itself.
    if (!error->transient() && !std::exchange(failing_, true)) {
      log::write(log::Level::error, log::tag::kDatabase, "Postgres refused a statement for notices; retrying",
                 {{"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
    }
    wake_up_.clear();
    co_await wake_up_.wait_for(kPauseAfterError);
  }
}

// Changes that are not delivered because of an error are delivered by the next call, some perhaps twice. A notice
// states how things are, so a second one does no harm.
asio::awaitable<void> Notices::deliver_new() {
  const postgres::Result snapshot = co_await connection_->query(kSnapshot);
  const std::string as_of(snapshot.text(0, 0));
  std::string after_xid = "0";
  std::int64_t after_id = 0;
  for (bool more = true; more;) {
    postgres::Params params;
    params.add(std::string_view(seen_));
    params.add(std::string_view(as_of));
    params.add(std::string_view(after_xid));
    params.add(after_id);
    params.add(kPage);
    const postgres::Result rows = co_await connection_->query(kNew, params);
    Changes changes;
    for (int row = 0; row < rows.size(); ++row) {
      after_xid = rows.text(row, kXid);
      after_id = rows.integer(row, kNoticeId);
      Change change{std::string(rows.text(row, kSubject)), rows.uuid(row, kStream), rows.uuid(row, kUser)};
      auto& of_reader = changes[change.stream_id + change.user_id];
      const bool known =
          std::ranges::any_of(of_reader, [&](const auto& each) { return each.subject == change.subject; });
      if (!known) of_reader.push_back(std::move(change));
    }
    co_await deliver(std::move(changes));
    more = rows.size() == kPage;
  }
  seen_ = as_of;
}

asio::awaitable<void> Notices::deliver(Changes changes) {
  const std::vector<Change*> all = wanted(changes);
  for (std::size_t begin = 0; begin < all.size(); begin += kSealedAtOnce) {
    co_await seal(std::span(all).subspan(begin, std::min(kSealedAtOnce, all.size() - begin)));
  }
  const Streams streams(changes);
  const auto add_notices = [&](const std::string& stream_id, const std::string& user_id, std::vector<ChunkPtr>& out) {
    if (!streams.contain(stream_id)) return;
    for_each_key(stream_id, user_id, [&](const std::string& key) {
      const auto at = changes.find(key);
      if (at == changes.end()) return;
      for (const Change& change : at->second) {
        if (change.event) out.push_back(change.event);
      }
    });
  };
  if (!all.empty()) {
    const Hub::AddNotices add(add_notices);
    for (Hub* hub : hubs_) co_await hub->send_notices(add);
  }
  std::vector<ReaderKey> readers = readers_to_check(changes);
  if (!readers.empty()) co_await checks_.check(std::move(readers));
}

std::vector<Notices::Change*> Notices::wanted(Changes& changes) const {
  if (changes.empty()) return {};
  const Streams streams(changes);
  for (const Hub* hub : hubs_) {
    hub->visit_users([&](const std::string& stream_id, const std::string& user_id) {
      if (!streams.contain(stream_id)) return;
      for_each_key(stream_id, user_id, [&](const std::string& key) {
        const auto at = changes.find(key);
        if (at == changes.end()) return;
        for (Change& change : at->second) change.wanted = true;
      });
    });
  }
  std::vector<Change*> all;
  for (auto& [key, of_reader] : changes) {
    for (Change& change : of_reader) {
      if (change.wanted) all.push_back(&change);
    }
  }
  return all;
}

asio::awaitable<void> Notices::seal(std::span<Change* const> wanted) {
  postgres::Params params;
  params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, wanted.size());
  for (const Change* change : wanted) params.element(std::string_view(change->subject));
  params.end_array();
  for (std::string Change::*id : {&Change::stream_id, &Change::user_id}) {
    params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, wanted.size());
    for (const Change* change : wanted) params.element(postgres::uuid_bytes(change->*id));
    params.end_array();
  }
  const postgres::Result rows = co_await connection_->query(kSeal, params);
  for (int row = 0; row < rows.size(); ++row) {
    std::string event;
    append_notice(rows.text(row, 1), event);
    wanted[static_cast<std::size_t>(rows.integer(row, 0) - 1)]->event = render_chunk(event);
  }
}

// Returns the readers, also those without a session, whose right to read may have ended.
std::vector<ReaderKey> Notices::readers_to_check(Changes& changes) const {
  const std::string nil(core::kNilUuid);
  std::vector<ReaderKey> readers;
  std::unordered_set<std::string> users, listed;
  const Streams streams(changes);
  for (const auto& [key, of_reader] : changes) {
    for (const Change& change : of_reader) {
      if (std::ranges::find(kRights, change.subject) == kRights.end()) continue;
      if (change.user_id == nil) {
        for (const Hub* hub : hubs_) hub->add_users(change.stream_id, readers);
      } else {
        users.insert(key);
      }
    }
  }
  for (const Hub* hub : hubs_) {
    if (users.empty()) break;
    hub->visit_users([&](const std::string& stream_id, const std::string& user_id) {
      if (!streams.contain(stream_id)) return;
      if (!users.contains(stream_id + user_id) && !users.contains(nil + user_id)) return;
      if (listed.insert(stream_id + user_id).second) readers.push_back({stream_id, user_id});
    });
  }
  return readers;
}

}  // namespace sealcast::transport::sse
