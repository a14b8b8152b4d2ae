# No YAML before it is rendered, and so not called .yaml here: helm template .
apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-app
spec:
  selector:
    matchLabels:
      app: my-app
  template:
    metadata:
      labels:
        app: my-app
    spec:
      terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
      containers:
        - name: my-app
          image: my-app
          env:
            - name: REPRIEVE_GRACE_PERIOD
              value: "{{ .Values.terminationGracePeriodSeconds }}s"
            - name: REPRIEVE_DELAY
              value: "{{ .Values.delay }}"
