# ftpalg for module.nix. Not tried: nix reads it without complaint, and it was never built. vendorHash is told by the first build, which
# refuses the one here.
{ lib, buildGoModule }:
buildGoModule {
  pname = "ftpalg";
  version = "0.0.0";
  src = lib.cleanSource ../../..;
  vendorHash = lib.fakeHash;
  subPackages = [ "cmd/ftpalg" "cmd/ftplab" ];
  env.CGO_ENABLED = 0;
  ldflags = [ "-s" "-w" ];
  # The tests make network namespaces, which a build may not.
  doCheck = false;
  postInstall = ''
    install -D -m 644 deploy/systemd/ftpalg.service $out/lib/systemd/system/ftpalg.service
    install -D -m 644 -t $out/share/man/man8 deploy/man/ftpalg.8 deploy/man/ftplab.8
    install -D -m 644 -t $out/share/man/man5 deploy/man/ftpalg.toml.5
  '';
  meta = {
    description = "FTP application-layer gateway for nftables firewalls";
    homepage = "https://github.com/ftpalg/ftpalg";
    license = lib.licenses.asl20;
    mainProgram = "ftpalg";
    platforms = lib.platforms.linux;
  };
}
