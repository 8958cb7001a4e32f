// SPDX-License-Identifier: MIT
// The file system of the scripted server.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/timestamp.h"
#include "nfs/scripted_server.h"
#include "nfs/status.h"

namespace qatime::nfs::testing {

struct Node {
  enum class Type : std::uint32_t { file = 1, directory = 2, symlink = 5 };  // ftype3

  std::uint64_t id = 0;
  std::uint32_t generation = 0;
  Type type = Type::file;
  ScriptedServer::Times times{};
  std::map<std::string, std::shared_ptr<Node>> children{};
  std::uint32_t uid = 0;
};

class MemoryTree {
 public:
  MemoryTree();

  // Throws std::out_of_range for a path that is not there.
  [[nodiscard]] std::shared_ptr<Node> at(const std::string& path) const;
  [[nodiscard]] std::shared_ptr<Node> find(const std::string& path) const;
  void add(const std::string& path, Node::Type type);
  void put(const std::string& path, std::shared_ptr<Node> node);
  void remove(const std::string& path);

  // nfs_fh3. A node is found by the handle of its present generation alone, and while something names it.
  [[nodiscard]] static std::string handle(const Node& node);
  [[nodiscard]] std::shared_ptr<Node> by_handle(const std::string& handle) const;
  void forget_handles(bool root_too);

  [[nodiscard]] Status set_atime(Node& node, std::optional<Time> atime, std::optional<Time> guard);

 private:
  Node& parent(const std::string& path) const;

  std::uint64_t last_id_ = 0;
  std::shared_ptr<Node> root_;
  std::map<std::uint64_t, std::weak_ptr<Node>> by_id_;
};

}  // namespace qatime::nfs::testing
