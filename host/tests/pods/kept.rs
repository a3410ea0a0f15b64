//! Lists that are kept.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::time::UNIX_EPOCH;

use crate::certificates::{certify, openssl};
use crate::kubelet::Kubelet;
use crate::tls;
use crate::typed::{Desk, until};

/// The list of a node without pods.
const NOBODY: &str = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[\n\n]}\n";

pub fn a_list_is_printed() {
    let (kubelet, desk) = (Kubelet::start(""), Desk::new());
    let printed = desk.done(&format!("--kubelet.url={}", kubelet.plain()));
    insta::assert_snapshot!(printed);
    assert!(!printed.contains("not for anybody") && desk.files().is_empty());
}

pub fn a_list_is_kept_once() {
    let (kubelet, desk) = (Kubelet::start("secret"), Desk::new());
    let url = kubelet.safe(&desk.path(""));
    desk.write("token", "secret\n");
    let words = format!(
        "--kubelet.url={url} --kubelet.ca-file=ca.pem --kubelet.token-file=token -o pods.json --once"
    );
    assert_eq!(desk.done(&words), "wrote pods.json: 8 pods\n");
    let list = desk.read("pods.json");
    assert_eq!(list.lines().count(), 10);
    let is = || fs::metadata(desk.path("pods.json")).unwrap();
    let number = is().ino();
    File::options()
        .write(true)
        .open(desk.path("pods.json"))
        .unwrap()
        .set_modified(UNIX_EPOCH)
        .unwrap();
    // Kubelets list their pods in any order.
    kubelet.change(|pods| pods.reverse());
    assert_eq!(desk.done(&words), "pods.json is as it was: 8 pods\n");
    assert_eq!((is().ino(), desk.read("pods.json")), (number, list));
    assert!(is().modified().unwrap() > UNIX_EPOCH, "it is marked as still right");
    kubelet.change(|pods| drop(pods.pop()));
    assert_eq!(desk.done(&words), "wrote pods.json: 7 pods\n");
    assert!(!desk.files().iter().any(|file| file.ends_with(".new")));
}

pub fn tokens_are_read_anew() {
    let (kubelet, desk) = (Kubelet::start("first"), Desk::new());
    let url = kubelet.safe(&desk.path(""));
    desk.write("token", "first");
    let mut running = desk.start(&format!(
        "pods --kubelet.url={url} --kubelet.ca-file=ca.pem --kubelet.token-file=token -o pods.json --refresh=100ms"
    ));
    assert_eq!(running.line(), "INFO wrote pods.json: 8 pods");
    // As the kubelet does it in a pod: by a rename.
    desk.write("new", "second");
    fs::rename(desk.path("new"), desk.path("token")).unwrap();
    kubelet.set_token("second");
    kubelet.change(Vec::clear);
    until("the list is empty", || desk.read("pods.json") == NOBODY);
    let (code, _) = running.end();
    assert_eq!(code, 0);
}

pub fn certificates_may_say_who_asks() {
    let (kubelet, desk) = (Kubelet::start(""), Desk::new());
    certify(&desk.path(""));
    openssl(
        &desk.path(""),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=me -keyout me.key \
         -out me.pem -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE",
    );
    let host = tls::before(kubelet.host(), &desk.path(""), true);
    let words =
        format!("--kubelet.url=https://{host} --kubelet.ca-file=ca.pem -o pods.json --once");
    let known = format!("{words} --kubelet.cert-file=me.pem --kubelet.key-file=me.key");
    assert_eq!(desk.done(&known), "wrote pods.json: 8 pods\n");
    let other = format!("{words} --kubelet.cert-file=me.pem --kubelet.key-file=ca.key");
    insta::assert_snapshot!(desk.refused(&other), @"2 me.pem is of no use with its key: keys may not be consistent: KeyMismatch; name a file in PEM format in --kubelet.ca-file, --kubelet.cert-file and --kubelet.key-file");
    let none = format!("{words} --kubelet.cert-file=me.key --kubelet.key-file=me.key");
    insta::assert_snapshot!(desk.refused(&none), @"2 me.key holds no certificate in PEM format; name a file in PEM format in --kubelet.ca-file, --kubelet.cert-file and --kubelet.key-file");
    let said = desk.refused(&words);
    assert!(
        said.starts_with("1 failed to ask the kubelet at HOST: ")
            && said.contains("CertificateRequired"),
        "{said}"
    );
}

pub fn only_a_file_is_replaced() {
    let (kubelet, desk) = (Kubelet::start(""), Desk::new());
    let put = |file: &str| {
        desk.refused(&format!("--kubelet.url={} -o {file} --once", kubelet.plain()))
            .replace(&kubelet.host(), "HOST")
    };
    desk.write("file", "");
    symlink("file", desk.path("link")).unwrap();
    let _socket = UnixListener::bind(desk.path("socket")).unwrap();
    insta::assert_snapshot!(put("link"), @"1 failed to write link: it is a link, which is not replaced; name a file with -o, in a directory that you may write into");
    insta::assert_snapshot!(put("socket"), @"1 failed to write socket: it is there, and no regular file; name a file with -o, in a directory that you may write into");
    assert_eq!(
        (desk.read("file"), desk.files()),
        (String::new(), ["file", "link", "socket"].map(str::to_owned).to_vec())
    );
}

pub fn what_there_is_stays_until_there_is_better() {
    let (kubelet, desk) = (Kubelet::start(""), Desk::new());
    let mut running =
        desk.start(&format!("pods --kubelet.url={} -o pods.json --refresh=100ms", kubelet.plain()));
    assert_eq!(running.line(), "INFO wrote pods.json: 8 pods");
    let list = desk.read("pods.json");
    kubelet.forbid();
    let said = running.line().replace(&kubelet.host(), "HOST");
    insta::assert_snapshot!(said, @"WARN the kubelet at HOST forbids somebody without a token to list pods: Forbidden (user=system:serviceaccount:monitoring:exporter, verb=get, resource=nodes, subresource(s)=[pods proxy]); bind who asks to a ClusterRole that may `get` the resource `nodes/pods`; before Kubernetes 1.33 that is `nodes/proxy`, which lets it do far more; the file stays as it is meanwhile; it is tried again, after 100ms at first");
    let asked = kubelet.asked();
    until("it goes on asking", || kubelet.asked() > asked + 2);
    assert_eq!(desk.read("pods.json"), list);
    let (code, said) = running.end();
    // The same failure is said once.
    assert_eq!((code, said), (0, Vec::new()));
}

pub fn a_list_is_emptied_when_it_was_said_three_times() {
    let (kubelet, desk) = (Kubelet::start(""), Desk::new());
    let mut running =
        desk.start(&format!("pods --kubelet.url={} -o pods.json --refresh=100ms", kubelet.plain()));
    assert_eq!(running.line(), "INFO wrote pods.json: 8 pods");
    let before = kubelet.asked();
    kubelet.change(Vec::clear);
    insta::assert_snapshot!(running.line(), @"WARN the kubelet says that there are no pods, and pods.json has some; it is believed when 3 answers in a row say so; the file stays as it is meanwhile; it is tried again, after 100ms at first");
    assert_eq!(running.line(), "INFO wrote pods.json: 0 pods");
    assert!(kubelet.asked() > before + 1, "one answer may have been on its way");
    assert_eq!(running.end(), (0, Vec::new()));
}
