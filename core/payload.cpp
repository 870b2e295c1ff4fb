// Inserts the server fields into a canonical payload without parsing it again.
#include "core/payload.h"

#include <algorithm>

#include "core/error.h"
#include "core/json_string.h"
#include "core/member_order.h"
#include "core/text_canonicalizer.h"

namespace sealcast::core {
namespace {

// Appends "name":"value" and returns the member with its range in `out`.
Member append_member(const ServerField& field, std::string& out) {
  Member member{field.name, key_prefix(field.name), out.size(), 0, 0};
  Fault fault;
  if (!append_json_string(field.name, out, fault)) {
    throw Error(ErrorKind::invalid_argument, "the name of a server field is not valid UTF-8");
  }
  out += ':';
  if (!append_json_string(field.value, out, fault)) {
    throw Error(ErrorKind::invalid_argument, "the value of a server field is not valid UTF-8");
  }
  member.end = out.size();
  return member;
}

}  // namespace

void prepare_payload(std::string_view json, const std::vector<ServerField>& server_fields, Payload& out,
                     CancelFlag cancel) {
  ThreadScratch thread_scratch;
  ParserScratch& scratch = *thread_scratch;
  out.canonical.clear();
  bool is_object = false;
  canonicalize_members(json, out.canonical, Rules::payload, cancel, scratch, is_object);
  if (!is_object) {
    throw Error(ErrorKind::invalid_argument, "the payload is not a JSON object", {}, "Send an object, for example {}.");
  }
  out.sent_hash = sha256(out.canonical);

  std::vector<Member>& members = scratch.members;
  bool changed = false;
  for (const ServerField& field : server_fields) {
    const auto sent = std::find_if(members.begin(), members.end(),
                                   [&field](const Member& member) { return member.key == field.name; });
    if (sent != members.end()) {
      members.erase(sent);
      changed = true;
    }
    if (field.value.data() != nullptr) {
      members.push_back(append_member(field, out.canonical));
      changed = true;
    }
  }
  if (!changed) return;

  Poll poll(cancel);
  sort_members(members, poll);
  std::string& object = scratch.moved;
  object.assign(1, '{');
  for (const Member& member : members) {
    if (object.size() > 1) object += ',';
    object.append(out.canonical, member.begin, member.end - member.begin);
  }
  object += '}';
  out.canonical.assign(object);
}

}  // namespace sealcast::core
