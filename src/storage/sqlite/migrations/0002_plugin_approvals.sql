-- What each plugin was approved for, by workflow; an empty workflow stands for all.
create table plugin_approvals (
  workflow text not null,
  plugin text not null,
  version text not null,
  sha256 text not null,
  permissions text not null,
  approved_at integer not null,
  "by" text not null,
  primary key (workflow, plugin)
) strict;
create index plugin_approvals_by_plugin on plugin_approvals (plugin, workflow);
