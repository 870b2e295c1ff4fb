// The stamp of a file: inode, size, times. A different stamp means that the file was written or replaced.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

namespace sealcast {

using FileStamp = std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

FileStamp stamp_file(const std::string& path);  // all zero when there is no such file

}  // namespace sealcast
