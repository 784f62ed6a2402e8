# A NixOS module:
#
#     imports = [ ./module.nix ];
#     networking.nftables.enable = true;
#     services.ftpalg = {
#       enable = true;
#       package = pkgs.callPackage ./package.nix { };
#       settings.server = [ { addresses = [ "10.2.5.5" ]; source_port = 0; } ];
#     };
#
# Not tried: nix reads it without complaint, and no machine was made of it so far.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.ftpalg;
  toml = pkgs.formats.toml { };
  file = toml.generate "ftpalg.toml" cfg.settings;
in
{
  options.services.ftpalg = {
    enable = lib.mkEnableOption "ftpalg, an FTP application-layer gateway for nftables";
    package = lib.mkOption {
      type = lib.types.package;
      description = "The package that has sbin/ftpalg or bin/ftpalg.";
    };
    settings = lib.mkOption {
      type = toml.type;
      default = { };
      description = "The configuration, as ftpalg.toml(5) has it.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."ftpalg/ftpalg.toml".source = file;

    # The kernel's own helper must not be attached beside it.
    networking.firewall.autoLoadConntrackHelpers = lib.mkForce false;
    boot.kernelModules = [ "nft_queue" "nf_conntrack_netlink" ];

    systemd.packages = [ cfg.package ];
    systemd.services.ftpalg = {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ file ];
      # The unit is the package's; its path of the program is not.
      serviceConfig.ExecStart = [ "" "${lib.getExe' cfg.package "ftpalg"} run" ];
    };
  };
}
