// SPDX-License-Identifier: MIT
#include "admin/routes.h"

#include <cassert>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "admin/exposition.h"
#include "admin/page.h"
#include "admin/status.h"
#include "base/log.h"
#include "telemetry/alerts.h"

namespace qatime::admin {
namespace {

namespace json = boost::json;

constexpr const char* kJson = "application/json";

// 200 {"what": true}, or 503 with the reasons why not.
Response verdict(const char* what, const std::vector<std::string>& reasons) {
  json::array list;
  for (const std::string& reason : reasons) list.emplace_back(log::printable(reason));
  const json::object body{{what, reasons.empty()}, {"reasons", list}};
  return {reasons.empty() ? 200U : 503U, kJson, json::serialize(body) + '\n'};
}

}  // namespace

Response Routes::answer(std::string_view path) const {
  assert(thread_.is_current());
  if (path == "/healthz") return verdict("alive", health_.not_alive());
  if (path == "/readyz") return verdict("ready", not_ready());
  if (path == "/metrics") {
    health_.refresh();
    return {200, kExpositionType, expose(registry_, not_ready().empty())};
  }
  if (path == "/status.json") {
    health_.refresh();
    return {200, kJson, status_document(registry_, history_, not_ready())};
  }
  if (path == "/") return {200, "text/html; charset=utf-8", std::string{kPage}, std::string{kPagePolicy}};
  return {404, "text/plain; charset=utf-8", "there are /, /status.json, /metrics, /healthz and /readyz\n"};
}

std::vector<std::string> Routes::not_ready() const {
  std::vector<std::string> reasons = health_.not_ready();
  for (const Alerts::Alert& alert : registry_.alerts().active()) {
    if (alert.effect == Alerts::Effect::unready) reasons.push_back(alert.reason + ": " + alert.text);
  }
  return reasons;
}

}  // namespace qatime::admin
