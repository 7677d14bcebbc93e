//! Asks a real runtime to make pods and containers, as the kubelet does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Request;
use prost::Message;
use tokio::net::UnixStream;

use super::framed;
use super::v1::{
    ContainerConfig, ContainerRequest, CreateContainerRequest, IdResponse, PodSandboxConfig,
    RunPodSandboxRequest,
};

/// A client that waits for each answer.
#[derive(Debug)]
pub struct Kubelet {
    socket: PathBuf,
}

impl Kubelet {
    /// Of the runtime that listens there.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Makes and starts a pod; gives its id.
    pub fn pod(&self, config: &PodSandboxConfig) -> String {
        let request = RunPodSandboxRequest { config: Some(config.clone()) };
        self.ask("RunPodSandbox", &request)
    }

    /// Makes and starts a container in a pod; gives its id.
    pub fn container(&self, pod: &str, pod_config: &PodSandboxConfig, config: &ContainerConfig) -> String {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.to_owned(),
            config: Some(config.clone()),
            sandbox_config: Some(pod_config.clone()),
        };
        let id = self.ask("CreateContainer", &request);
        self.ask("StartContainer", &ContainerRequest { id: id.clone() });
        id
    }

    /// Ends a container and takes it away.
    pub fn remove(&self, container: &str) {
        for method in ["StopContainer", "RemoveContainer"] {
            self.ask(method, &ContainerRequest { id: container.to_owned() });
        }
    }

    /// Ends a pod and takes it away.
    pub fn remove_pod(&self, pod: &str) {
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            self.ask(method, &ContainerRequest { id: pod.to_owned() });
        }
    }

    fn ask(&self, method: &str, request: &impl Message) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(async {
            let message = request.encode_to_vec();
            let call = call(&self.socket, method, &message);
            tokio::time::timeout(Duration::from_mins(1), call).await
        });
        let answer = asked.unwrap_or_else(|_| panic!("{method}: no answer"));
        IdResponse::decode(answer.as_slice()).unwrap().id
    }
}

async fn call(socket: &Path, method: &str, message: &[u8]) -> Vec<u8> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::post(format!("http://localhost/runtime.v1.RuntimeService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(framed(message), true).unwrap();
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
    assert_eq!(trailers["grpc-status"], "0", "{method}: {:?}", trailers.get("grpc-message"));
    whole.split_off(5)
}
