// Opens a MaxMind database, of City or Country records, and looks up the place of an IP address in it.
#include "regions/geoip.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "regions/geoip_check.h"

namespace sealcast::regions {
namespace {

constexpr std::int64_t kMaxBytes = 1LL << 30;

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

// Copies the next `bytes` bytes of the file `from` to `to`. Returns false after a failure; errno has the reason.
bool copy(int from, int to, std::int64_t bytes) {
  while (bytes > 0) {
    const ssize_t copied = ::sendfile(to, from, nullptr, static_cast<std::size_t>(bytes));
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0) return false;
    if (copied == 0) break;  // another process has shortened the file; MMDB_open() will refuse the copy
    bytes -= copied;
  }
  return true;
}

}  // namespace

GeoIp::GeoIp(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  stamp_ = stamp_file(path_);
  database_ = load();
}

GeoIp::Database GeoIp::load() const {
  const auto fail = [this](const std::string& problem) {
    return std::runtime_error("regions.database_file: \"" + path_ + "\" " + problem);
  };
  const File file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file.open() || ::fstat(file.get(), &status) != 0) {
    throw fail(std::string("cannot be read (") + std::strerror(errno) +
               "); make it readable for the user of sealcastd");
  }
  if (!S_ISREG(status.st_mode) || status.st_size > kMaxBytes) {
    throw fail("is not a regular file of at most 1 GiB; name a Geo-IP database (.mmdb)");
  }
  const File memory(::memfd_create("regions.database_file", MFD_CLOEXEC));
  if (!memory.open() || !copy(file.get(), memory.get(), status.st_size)) {
    throw fail(std::string("cannot be copied into memory (") + std::strerror(errno) + "); free some memory");
  }
  auto opened = std::make_unique<MMDB_s>();
  const std::string name = "/proc/self/fd/" + std::to_string(memory.get());
  const int code = MMDB_open(name.c_str(), MMDB_MODE_MMAP, opened.get());
  if (code != MMDB_SUCCESS) {
    throw fail(std::string("is not a Geo-IP database (") + MMDB_strerror(code) + "); name a City or Country .mmdb");
  }
  Database database(opened.release());
  if (const std::string problem = problem_in(*database); !problem.empty()) throw fail(problem);
  return database;
}

std::optional<Location> GeoIp::locate(const Address& address) const {
  if (!database_) return std::nullopt;
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  v6.sin6_family = AF_INET6;
  std::copy(address.bytes.begin(), address.bytes.end(), v6.sin6_addr.s6_addr);
  v4.sin_family = AF_INET;
  std::memcpy(&v4.sin_addr, address.bytes.data() + 12, sizeof v4.sin_addr);
  int error = MMDB_SUCCESS;
  MMDB_lookup_result_s found = MMDB_lookup_sockaddr(
      database_.get(), address.is_v4() ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6), &error);
  // A lookup error means that the database contains only IPv4 addresses, or is damaged at this address. In both cases
  // the place is unknown.
  if (error != MMDB_SUCCESS || !found.found_entry) return std::nullopt;
  return location_in(found.entry);
}

void GeoIp::reload_if_changed() {
  if (path_.empty()) return;
  const FileStamp now = stamp_file(path_);
  if (now == stamp_) return;
  stamp_ = now;
  try {
    database_ = load();
    log::write(log::Level::info, log::tag::kRegions, "the Geo-IP database was read again");
  } catch (const std::runtime_error& error) {
    log::write(log::Level::error, log::tag::kRegions,
               "the Geo-IP database cannot be read again; the last one stays in use",
               {{"reason", std::string_view(error.what())}});
  }
}

}  // namespace sealcast::regions
