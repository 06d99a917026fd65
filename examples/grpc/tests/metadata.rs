//! A tonic client, the gateway and tonic servers over HTTP/2 on loopback: the session is carried in
//! metadata, by unary calls and by streams.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use session_affinity::carrier::IssuedHeader;
use session_affinity::layer::Site;
use session_affinity::{
    Affinity, CookiePolicy, Endpoint, FailoverMode, Key, Keyring, LoadBalancer, Pool, Pools, Secret,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::service::InterceptorLayer;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const NAME: &str = "x-session-affinity";

/// The endpoints that were called, and the metadata that each call had.
type Calls = Arc<Mutex<Vec<(&'static str, MetadataMap)>>>;

struct Scene {
    calls: Calls,
    endpoints: Vec<(&'static str, JoinHandle<()>)>,
    client: HealthClient<Channel>,
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A tonic server with the standard service of health checks.
async fn endpoint(name: &'static str, calls: Calls) -> (SocketAddr, JoinHandle<()>) {
    let (listener, address) = bind().await;
    let (_, health) = tonic_health::server::health_reporter();
    let note = move |request: Request<()>| {
        calls.lock().unwrap().push((name, request.metadata().clone()));
        Ok::<_, Status>(request)
    };
    let server = Server::builder().layer(InterceptorLayer::new(note)).add_service(health);
    let incoming = TcpListenerStream::new(listener);
    (address, tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() }))
}

impl Scene {
    async fn new(mode: FailoverMode) -> Self {
        let (calls, mut endpoints, mut pool) = (Calls::default(), Vec::new(), Pool::new("eu"));
        for name in ["eu-1", "eu-2", "eu-3"] {
            let (address, server) = endpoint(name, calls.clone()).await;
            pool = pool.with_endpoint(Endpoint::new(name, address));
            endpoints.push((name, server));
        }
        let shop = LoadBalancer::new("api.example.com").unwrap();
        let keyring = Keyring::from(Key::new(1, Secret::new([7; 32]).unwrap()));
        let header = IssuedHeader::new(NAME).unwrap();
        let policy = CookiePolicy::in_header(&shop, &keyring, header);
        let affinity = Affinity::new(policy).with_failover_mode(mode).unwrap();
        let site = Site::new(affinity, Pools::builder().pool(pool).build().unwrap());
        let (listener, address) = bind().await;
        tokio::spawn(session_affinity_grpc::serve(listener, Arc::new(site)));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        let client = HealthClient::new(channel.connect().await.unwrap());
        Self { calls, endpoints, client }
    }

    /// A unary call with this token. Returns the endpoint that was called, and the token issued.
    async fn check(
        &mut self,
        token: Option<&str>,
    ) -> Result<(&'static str, Option<String>), Status> {
        let answer = self.client.check(request(token)).await?;
        assert_eq!(answer.get_ref().status(), ServingStatus::Serving);
        Ok((self.called(), issued(answer.metadata())))
    }

    /// The endpoint of the last call, which has not seen the token.
    fn called(&self) -> &'static str {
        let calls = self.calls.lock().unwrap();
        let (name, metadata) = calls.last().unwrap();
        assert!(metadata.get(NAME).is_none(), "{metadata:?}");
        assert_eq!(metadata.get("x-other").unwrap(), "stays");
        name
    }

    async fn stop(&mut self, name: &str) {
        let (_, server) = self.endpoints.iter_mut().find(|(of, _)| *of == name).unwrap();
        server.abort();
        let _ = server.await;
    }
}

fn request(token: Option<&str>) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("x-other", "stays".parse().unwrap());
    if let Some(token) = token {
        request.metadata_mut().insert(NAME, token.parse().unwrap());
    }
    request
}

fn issued(metadata: &MetadataMap) -> Option<String> {
    Some(metadata.get(NAME)?.to_str().unwrap().into())
}

#[tokio::test]
async fn the_session_of_a_client_comes_back_by_its_metadata() {
    let mut scene = Scene::new(FailoverMode::None).await;
    let (home, token) = scene.check(None).await.unwrap();
    let token = token.expect("a token");
    assert_eq!(token.len(), 48);
    for _ in 0..8 {
        assert_eq!(scene.check(Some(&token)).await.unwrap(), (home, None));
    }
    // What is no token of ours begins a session.
    let (_, another) = scene.check(Some(&token.to_lowercase())).await.unwrap();
    assert!(another.is_some());
}

#[tokio::test]
async fn a_stream_is_carried_as_a_unary_call_is() {
    let mut scene = Scene::new(FailoverMode::None).await;
    let mut stream = scene.client.watch(request(None)).await.unwrap();
    let token = issued(stream.metadata()).expect("a token");
    let home = scene.called();
    let first = stream.get_mut().message().await.unwrap().expect("a message");
    assert_eq!(first.status(), ServingStatus::Serving);
    assert_eq!(scene.check(Some(&token)).await.unwrap(), (home, None));
    let mut kept = scene.client.watch(request(Some(&token))).await.unwrap();
    assert_eq!((scene.called(), issued(kept.metadata())), (home, None));
    assert!(kept.get_mut().message().await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_whose_endpoint_is_down_goes_by_the_failover_mode() {
    for mode in [FailoverMode::None, FailoverMode::Temporary, FailoverMode::Sticky] {
        let mut scene = Scene::new(mode).await;
        let (home, token) = scene.check(None).await.unwrap();
        scene.stop(home).await;
        match (mode, scene.check(token.as_deref()).await) {
            (FailoverMode::None, Err(status)) => {
                assert_eq!((status.code(), status.message()), (Code::Unavailable, "gave_up"));
                assert!(status.metadata().get(NAME).is_none());
            }
            (FailoverMode::Temporary, Ok((other, None))) => assert_ne!(other, home),
            (FailoverMode::Sticky, Ok((other, moved @ Some(_)))) => {
                assert_ne!(other, home);
                assert_eq!(scene.check(moved.as_deref()).await.unwrap(), (other, None));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// An endpoint that answers with an error has answered: the call begins a session.
#[tokio::test]
async fn an_error_of_the_endpoint_carries_the_token() {
    let mut scene = Scene::new(FailoverMode::Sticky).await;
    let unknown = HealthCheckRequest { service: "unknown".into() };
    let status = scene.client.check(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let token = issued(status.metadata()).expect("a token");
    let home = scene.calls.lock().unwrap()[0].0;
    assert_eq!(scene.check(Some(&token)).await.unwrap(), (home, None));
}
