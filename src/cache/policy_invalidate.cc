#include "sluice/cache/policy_invalidate.h"

#include <algorithm>
#include <cstring>

#include "sluice/base/strings.h"
#include "sluice/cache/tags.h"
#include "sluice/http/structured.h"
#include "sluice/http/uri.h"

namespace sluice::cache {
namespace {

using http::FieldId;

std::string_view port_of(const http::Authority& authority, std::string_view scheme) noexcept {
  if (!authority.port.empty()) return authority.port;
  return equals_ignore_case(scheme, "https") ? "443" : "80";
}

// RFC 9110 section 4.3.1.
bool is_same_origin(const KeyUrl& url, std::string_view scheme,
                    std::string_view authority) noexcept {
  const http::Authority a = http::split_authority(url.authority);
  const http::Authority b = http::split_authority(authority);
  return equals_ignore_case(url.scheme, scheme) && equals_ignore_case(a.host, b.host) &&
         port_of(a, url.scheme) == port_of(b, scheme);
}

std::string_view join(std::initializer_list<std::string_view> parts, Arena& arena) noexcept {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  char* const text = arena.allocate_array<char>(size);
  char* at = text;
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  return {text, size};
}

// RFC 3986 section 5.2.4, for a path that begins with "/". Nothing is decoded: keys hold targets as
// they are asked for.
std::string_view without_dots(std::string_view path, Arena& arena) noexcept {
  if (path.find("/.") == std::string_view::npos) return path;
  char* const out = arena.allocate_array<char>(path.size());
  size_t size = 0;
  while (!path.empty()) {
    const size_t next = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, next);  // "/" and a name
    path.remove_prefix(next);
    if (segment == "/..") {
      while (size > 0 && out[--size] != '/') {
      }
    }
    if (segment == "/." || segment == "/..") {
      if (path.empty()) out[size++] = '/';
      continue;
    }
    std::memcpy(out + size, segment.data(), segment.size());
    size += segment.size();
  }
  return {out, size};
}

struct Target {
  std::string_view path, query;  // the query with its "?"
};
Target split_target(std::string_view target) noexcept {
  const size_t mark = std::min(target.find('?'), target.size());
  return {target.substr(0, mark), target.substr(mark)};
}

// RFC 3986 section 5.2.3.
std::string_view merge_path(std::string_view base, std::string_view path, Arena& arena) noexcept {
  if (path.starts_with('/')) return path;
  const size_t slash = base.rfind('/');
  return join({slash == std::string_view::npos ? "/" : base.substr(0, slash + 1), path}, arena);
}

// RFC 3986 section 3.1.
bool has_scheme(std::string_view reference) noexcept {
  const size_t end = reference.find_first_of(":/?");
  return end != std::string_view::npos && reference[end] == ':';
}

bool is_error(int status) noexcept { return status < 200 || status >= 400; }

class Targets {
 public:
  explicit Targets(Arena& arena) noexcept
      : targets_(arena.allocate_array<std::string_view>(kMost)) {}
  void add(std::optional<std::string_view> target) noexcept {
    const auto known = all();
    if (!target || std::find(known.begin(), known.end(), *target) != known.end()) return;
    if (count_ < kMost) targets_[count_++] = *target;
  }
  std::span<const std::string_view> all() const noexcept { return {targets_, count_}; }

 private:
  static constexpr size_t kMost = 3;  // the request's own, Location, Content-Location
  std::string_view* targets_;
  size_t count_ = 0;
};

std::span<const uint64_t> group_tags(const KeyUrl& url, const http::FieldList& response,
                                     Arena& arena) {
  const auto groups = http::parse_string_list(response, "cache-group-invalidation", arena);
  if (!groups) return {};
  auto* const tags = arena.allocate_array<uint64_t>(groups->size());
  std::transform(groups->begin(), groups->end(), tags,
                 [&](std::string_view group) { return group_tag(url, group, arena); });
  return {tags, groups->size()};
}

}  // namespace

Invalidation judge_invalidation(const http::RequestHead& request, const KeyUrl& url,
                                const http::ResponseHead& response, Arena& arena) {
  Invalidation out;
  // RFC 9111 section 4.4: methods that are not known to be safe; RFC 9875 section 3: the field of a
  // safe one is ignored, and no status is asked for.
  if (http::is_safe(request.method)) return out;
  out.tags = group_tags(url, response.fields, arena);
  out.is_all_of_origin = out.tags.size() > kMostGroups;
  if (out.is_all_of_origin) out.tags = {};
  if (is_error(response.status)) return out;
  Targets targets(arena);
  if (url.target.starts_with('/')) targets.add(url.target);
  for (const FieldId id : {FieldId::kLocation, FieldId::kContentLocation}) {
    const http::Field* field = response.fields.find(id);
    if (field != nullptr) targets.add(resolve_target(url, field->value, arena));
  }
  out.targets = targets.all();
  return out;
}

std::optional<std::string_view> resolve_target(const KeyUrl& base, std::string_view reference,
                                               Arena& arena) {
  reference = reference.substr(0, reference.find('#'));
  if (reference.starts_with("//")) reference = join({base.scheme, ":", reference}, arena);
  if (has_scheme(reference)) {
    const auto absolute = http::parse_absolute_form(reference);
    if (!absolute || !is_same_origin(base, absolute->scheme, absolute->authority)) {
      return std::nullopt;
    }
    reference = absolute->path_and_query;
    // RFC 3986 section 6.2.3: an empty path is "/".
    if (!reference.starts_with('/')) reference = join({"/", reference}, arena);
  }
  const Target own = split_target(base.target);
  Target target = split_target(reference);
  if (target.path.empty()) {
    target.path = own.path;
    if (target.query.empty()) target.query = own.query;
  } else {
    target.path = without_dots(merge_path(own.path, target.path, arena), arena);
  }
  return join({target.path, target.query}, arena);
}

uint64_t group_tag(const KeyUrl& url, std::string_view group, Arena& arena) {
  const http::Authority authority = http::split_authority(url.authority);
  char* const host = arena.allocate_array<char>(authority.host.size());
  std::transform(authority.host.begin(), authority.host.end(), host, to_lower);
  // No tag of another field has a line break in it.
  return tag_hash(join({url.scheme,
                        "://",
                        {host, authority.host.size()},
                        ":",
                        port_of(authority, url.scheme),
                        "\n",
                        group},
                       arena));
}

}  // namespace sluice::cache
