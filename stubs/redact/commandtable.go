package redact

// commandTable says how programs take secrets on their command lines. A row holds the programs,
// "/" and a word that must be among their arguments where only some subcommands do, and the rules:
//
//	-p     the argument after -p          -p*  what follows -p in the same argument
//	-p+    both                           -u:  the argument after -u, after its first ":"
//	#2     the second argument that is no option, if it does not look like a word of a sentence
//	#>2    the last argument that is no option, of more than 2
//	b#>2   the same, if an option of letters holds b
//	@/     in each argument, what is between "/" and "@"
//	key>   the argument after the word key; digits that say how it is encoded are skipped
//	=      the value of each NAME=VALUE
const commandTable = `
mysql mysqldump mysqlimport mysqlcheck mysqlshow mysqlslap mysqlpump mysqlbinlog mysqlsh mariadb mariadb-dump mariadb-check mycli : -p*
mysqladmin mariadb-admin : -p* password>
sshpass 7z 7za 7zr rar unrar : -p+
docker/login podman/login nerdctl/login helm/login skopeo/login crane/login oras/login buildah/login regctl/login cosign/login oc/login cf/login ibmcloud/login argocd/login : -p+
mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat : -p+
az/login twine cqlsh sshfs rdesktop psexec beeline hydra evil-winrm winexe crackmapexec netexec useradd usermod altool certutil cyberduck duck ftpput ncftpput ncftpget ncftpls : -p
az/keyvault az/secret aws/put-parameter aws/create-secret eas gcloud/secrets : --value
sqlcmd bcp osql tsql mssql-cli ipmitool mosquitto_pub mosquitto_sub zip unzip zipcloak tdbcp fastload : -P+
redis-cli : -a AUTH> auth>
isql : #>2
radtest : #2 #>4
ldapsearch ldapadd ldapmodify ldapdelete ldapcompare ldapwhoami ldapmodrdn kadmin : -w+
ldappasswd : -w+ -s -a
http https xh xhs httpie : -a:
curl wget lftp hey wrk vegeta gobuster ffuf : -u: -U: -E: --cert: --proxy-cert:
ab : -A: -P:
lftp : -u,
ssh-keygen : -N+ -P+
snmpget snmpset snmpwalk snmpbulkwalk snmpbulkget snmpgetnext snmptrap snmptable : -c -A -X
openssl : -k -K
smbclient rpcclient smbcacls smbmap smbget : -U%
security : -p -k -w -P
signtool : /p
xfreerdp wfreerdp : /p:*
cmdkey : /pass:*
schtasks : /rp /p
net/user : #>2
net/use : #>2
htpasswd mosquitto_passwd htdigest : b#>1
rabbitmqctl/add_user rabbitmqctl/change_password rabbitmqctl/authenticate_user cf/auth : #>2
wpa_passphrase : #>1
nmcli : password> wifi-sec.psk> 802-11-wireless-security.psk>
rclone : #2obscure pass>
vault/login cargo/login nuget/setapikey snyk/auth ngrok/authtoken : #2
ngrok/add-authtoken : #>2
sqlplus sqlldr expdp impdp exp imp rman sqlcl : @/
ansible-vault/encrypt_string : #2
pulumi/config : #>3
poetry/config composer/config : #>3 github-oauth.github.com> gitlab-token.gitlab.com>
chamber/write : #>3
gh/secret glab/variable : --body -b --value -v
glab/login doctl/auth codecov : -t
kubectl : --from-literal= --from-literal==
fly/secrets flyctl/secrets wrangler/secret doppler/secrets supabase/secrets railway/variables vault/put sst/secret : =
pdftotext qpdf pdftk : -upw -opw input_pw> owner_pw> user_pw>
enable : secret> password>
username : secret> password>
neighbor : password>
snmp-server : community>
tacacs-server radius-server : key>
crypto : key>
ppp : password>
isakmp : key>
`
