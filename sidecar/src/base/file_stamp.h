// The stamp of a file: inode, size, and the times of the last change of content and of metadata. If the stamp differs
// from an earlier one, the file was written, replaced, or changed in its metadata.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

namespace sealcast {

using FileStamp = std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

FileStamp stamp_file(const std::string& path);  // all zero when there is no such file

}  // namespace sealcast
