// What every task may read of the system. Nothing here holds secrets: of /etc only what programs cannot do without.

/** Programs and libraries, readable and executable. */
export const programPaths = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/libx32", "/lib64", "/nix/store", "/gnu/store"] as const;

/** Settings, readable. */
export const settingPaths = [
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/ld-musl-x86_64.path",
  "/etc/ld-musl-aarch64.path",
  "/etc/alternatives",
  "/etc/ssl/certs",
  "/etc/ssl/cert.pem",
  "/etc/ssl/openssl.cnf",
  "/etc/ca-certificates",
  "/etc/ca-certificates.conf",
  "/etc/pki/tls/certs",
  "/etc/pki/tls/cert.pem",
  "/etc/pki/tls/openssl.cnf",
  "/etc/pki/ca-trust/extracted",
  "/etc/crypto-policies",
  "/etc/nsswitch.conf",
  "/etc/passwd",
  "/etc/group",
  "/etc/localtime",
  "/etc/timezone",
  "/etc/hosts",
  "/etc/host.conf",
  "/etc/gai.conf",
  "/etc/protocols",
  "/etc/services",
  "/etc/rpc",
  "/etc/os-release",
  "/etc/debian_version",
  "/etc/mime.types",
  "/etc/magic",
  "/etc/terminfo",
  "/etc/inputrc",
  "/etc/wgetrc",
  "/etc/curlrc",
  "/etc/locale.alias",
  "/etc/locale.conf",
  "/etc/gitconfig",
  "/etc/gitattributes",
  "/etc/python3",
  "/etc/python3.8",
  "/etc/python3.9",
  "/etc/python3.10",
  "/etc/python3.11",
  "/etc/python3.12",
  "/etc/python3.13",
  "/etc/python3.14",
  "/etc/perl",
  "/etc/ssh/ssh_config",
  "/etc/ssh/ssh_config.d",
  "/etc/ssh/ssh_known_hosts",
  "/etc/bash.bashrc",
  "/etc/fonts",
  "/sys/devices/system/cpu",
] as const;

/** Devices without memory, readable and writable. */
export const devicePaths = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"] as const;

/** Where a task cannot have a /proc of its own: what it may read of itself. Files and one folder, never all of
 * /proc/self, which holds the network's tables too. */
export const ownProcessPaths = [
  "maps",
  "status",
  "statm",
  "stat",
  "cgroup",
  "fd",
  "environ",
  "limits",
  "auxv",
  "comm",
  "cmdline",
  "smaps_rollup",
].map((name) => `/proc/self/${name}`);
