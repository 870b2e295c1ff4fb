// Finds the places of IP addresses in a MaxMind database (.mmdb): https://maxmind.github.io/MaxMind-DB/
//
// A City database contains places. A Country database contains only countries; GeoIp then returns the principal place
// of the country.
//
// The file is copied to private memory, and libmaxminddb maps the copy. If it mapped the file itself and another
// process shortened that file, the next access would end this process.
#pragma once

#include <maxminddb.h>

#include <memory>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/file_stamp.h"
#include "regions/geoip_record.h"

namespace sealcast::regions {

class GeoIp {
 public:
  // If `path` is empty, locate() always returns nullopt. Throws std::runtime_error, which names the file and the fix.
  explicit GeoIp(std::string path);

  // Returns the country and the place of an address. Returns nullopt if the place is unknown.
  std::optional<Location> locate(const Address& address) const;

  // Loads the file again if it has changed. If the new file cannot be used, logs the reason and keeps the last
  // database.
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
