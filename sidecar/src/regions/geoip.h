// Where an address is, by a MaxMind database (.mmdb): https://maxmind.github.io/MaxMind-DB/
//
// City databases say the place; Country databases the country, for which its principal place stands. The file is copied
// into memory that is ours alone: libmaxminddb maps what it reads, and a file that somebody shortens under a mapping
// ends the process.
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
  std::string country;  // ISO 3166-1; empty when the database does not say
  config::Place place;
};

class GeoIp {
 public:
  // An empty path: nobody is located. Throws std::runtime_error naming the file and the fix.
  explicit GeoIp(std::string path);

  std::optional<Location> locate(const Address& address) const;

  // Looks at the file, and takes another one into use. One that cannot be used is logged, and the last good one stays.
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
