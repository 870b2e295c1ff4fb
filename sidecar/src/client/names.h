// Declares short namespace names for the two database clients, because nearly every folder uses them: postgres::Pool,
// redis::Client. Every other namespace has the path of its folder as its name.
#pragma once

namespace sealcast {

namespace client::postgres {}
namespace client::redis {}

namespace postgres = client::postgres;
namespace redis = client::redis;

}  // namespace sealcast
