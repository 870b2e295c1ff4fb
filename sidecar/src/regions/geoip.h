// Locates addresses by a MaxMind database (.mmdb): https://maxmind.github.io/MaxMind-DB/
//
// A City database contains places. A Country database contains countries, and the principal place of a country is used
// instead. The file is copied into private memory, because libmaxminddb maps the file that it reads: shortening a
// mapped file ends the process.
#pragma once

#include <maxminddb.h>

#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/file_stamp.h"
#include "config/region.h"

namespace sealcast::regions {

struct Location {
  std::string country;  // ISO 3166-1; empty: the database does not contain it
  config::Place place;
};

class GeoIp {
 public:
  // With an empty path, no address is located. Throws std::runtime_error naming the file and the fix.
  explicit GeoIp(std::string path);

  // Returns nullopt when the place is unknown.
  std::optional<Location> locate(const Address& address) const;

  // Opens the file again if it has changed. If the new file cannot be used, that is logged and the last good database
  // stays in use.
  void reload_if_changed();

 private:
  struct Close {
    void operator()(MMDB_s* database) const {
      MMDB_close(database);
      delete database;
    }
  };
  using Database = std::unique_ptr<MMDB_s, Close>;

  Database load() const;

  std::string path_;
  FileStamp stamp_;
  Database database_;
};

}  // namespace sealcast::regions
