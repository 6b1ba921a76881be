// What every task on macOS may read of the system. Nothing here holds secrets, and none of it is the data of a user:
// of /System only what the system's own volume holds, of Homebrew only programs and not the databases in its var.

const homebrewFolders = ["bin", "sbin", "lib", "libexec", "share", "opt", "Cellar", "Frameworks"];
const homebrewSettings = ["etc/ca-certificates", "etc/openssl@3", "etc/gitconfig"];
const homebrewPrefixes = ["/opt/homebrew", "/usr/local"];

const belowHomebrew = (names: readonly string[]) => homebrewPrefixes.flatMap((prefix) => names.map((name) => `${prefix}/${name}`));

/** Programs and libraries: readable, executable, loadable. */
export const macProgramPaths: readonly string[] = [
  "/bin",
  "/sbin",
  "/usr/bin",
  "/usr/sbin",
  "/usr/lib",
  "/usr/libexec",
  "/usr/share",
  "/System/Library",
  "/System/Cryptexes",
  "/System/iOSSupport/System/Library",
  "/System/Volumes/Preboot/Cryptexes",
  "/Library/Apple",
  "/Library/Developer/CommandLineTools",
  "/Library/Frameworks/Python.framework",
  "/nix/store",
  ...belowHomebrew(homebrewFolders),
];

/** Settings, readable. Real paths: /etc and /var are links. */
export const macSettingPaths: readonly string[] = [
  "/private/etc/group",
  "/private/etc/hosts",
  "/private/etc/passwd",
  "/private/etc/protocols",
  "/private/etc/services",
  "/private/etc/shells",
  "/private/etc/paths",
  "/private/etc/paths.d",
  "/private/etc/gitconfig",
  "/private/etc/gitattributes",
  "/private/etc/ssl/cert.pem",
  "/private/etc/ssl/certs",
  "/private/etc/ssl/openssl.cnf",
  "/private/etc/ssh/ssh_config",
  "/private/etc/ssh/ssh_config.d",
  "/private/etc/ssh/ssh_known_hosts",
  "/private/etc/localtime",
  "/private/var/db/timezone",
  "/private/var/db/dyld",
  "/private/var/db/xcode_select_link",
  "/private/var/select",
  ...belowHomebrew(homebrewSettings),
];

/** Devices without memory, readable and writable. */
export const macDevicePaths: readonly string[] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/** What the system's and the language runtimes' own start asks of the kernel. `kern.procargs2`, which shows the
 * environment of other processes, is not among them. */
export const macSysctlNames: readonly string[] = [
  "kern.argmax",
  "kern.bootargs",
  "kern.hostname",
  "kern.maxfilesperproc",
  "kern.maxproc",
  "kern.ngroups",
  "kern.osproductversion",
  "kern.osrelease",
  "kern.ostype",
  "kern.osvariant_status",
  "kern.osversion",
  "kern.secure_kernel",
  "kern.tcsm_available",
  "kern.tcsm_enable",
  "kern.usrstack64",
  "kern.version",
  "sysctl.proc_cputype",
  "sysctl.proc_native",
  "sysctl.proc_translated",
  "vm.loadavg",
];
export const macSysctlPrefixes: readonly string[] = ["hw.", "machdep.cpu."];

/** Names of users and groups; all else that is looked up by name could act for the task outside of its sandbox: launchd,
 * the keychain, other programs, and trustd, which fetches from the network what a certificate names. */
export const macServices: readonly string[] = ["com.apple.system.opendirectoryd.libinfo"];
